/** Stable codes become sentences here, and nowhere else. */

import { count, dateTime, instant, money } from '../format';
import { m as messages } from '../paraglide/messages.js';
import { locale } from './locale.svelte';

type Key = keyof typeof messages;
type After<Start extends string, Text = Key> = Text extends `${Start}_${infer Rest}` ? Rest : never;
type WithNext<Code extends string> = Code extends Code ? (`problem_${Code}_next` extends Key ? Code : never) : never;

/**
 * The codes that have their sentences here; an Undated has another one for a time that is not known. Each front end
 * holds those that it may meet to them, so that one without a sentence does not compile.
 */
export type ProblemCode = Exclude<WithNext<After<'problem'>>, 'other'>;
export type ReasonCode = Exclude<After<'reason'>, 'other' | `${string}_undated`>;
export type ExceptionCode = Exclude<After<'exception'>, 'other'>;

/** What went wrong. Text, since head office may be newer and know more codes. */
export interface Problem {
  code: string;
  /** Times in ms since 1970, numbers as digits. */
  params: Record<string, string>;
  /** English, technical, without secrets. */
  detail: string;
}

/** What speaks against something. */
export interface Reason {
  code: string;
  params: Record<string, string>;
}

type Message = (inputs: Record<string, string>) => string;

const all = messages as unknown as Record<string, Message | undefined>;

export interface Place {
  /** The store's zone; times without one are in the machine's. */
  timeZone?: string | undefined;
  /** For amounts in minor units among the parameters. */
  currency?: string | undefined;
}

/** How long to wait when head office says "busy" without saying how long. */
const DEFAULT_WAIT_SECONDS = '10';

function readable(params: Record<string, string | undefined>, place: Place): Record<string, string> {
  const when = (text: string | undefined) => {
    const ms = instant(text);
    return ms === null ? text || messages.unknown_time() : dateTime(ms, locale(), place.timeZone);
  };
  const number = (text: string | undefined) =>
    text !== undefined && /^\d+$/.test(text) ? count(Number(text), locale()) : (text ?? '');
  const limit = params.limit;
  const inLanguage = locale() === 'zh-CN' ? params.store_zh : params.store_en;
  return {
    at: when(params.at),
    until: when(params.until),
    by: params.by || inLanguage || params.store || messages.unknown_person(),
    store: inLanguage || params.store || params.store_zh || params.store_en || messages.unknown_store(),
    left: params.left === undefined ? messages.unknown_number() : number(params.left),
    sku: params.sku ?? '?',
    package: params.package ?? 'fonts-noto-cjk',
    seconds: number(params.seconds ?? params.retry_after ?? DEFAULT_WAIT_SECONDS),
    limit:
      limit !== undefined && /^\d+$/.test(limit)
        ? money(Number(limit), params.currency ?? place.currency ?? 'CNY', locale())
        : (limit ?? messages.unknown_number()),
  };
}

export function reasonSentence(reason: Reason, place: Place = {}): string {
  const undated = reason.params.at ? undefined : all[`reason_${reason.code}_undated`];
  const message = undated ?? all[`reason_${reason.code}`];
  if (!message) return messages.reason_other({ code: reason.code });
  return message(readable(reason.params, place));
}

/** Why an operation in the queue needs a person. An attempt that failed carries a reason's code instead. */
export function exceptionSentence(code: string, place: Place = {}): string {
  const message = all[`exception_${code}`];
  if (message) return message({});
  return all[`reason_${code}`] ? reasonSentence({ code, params: {} }, place) : messages.exception_other({ code });
}

/** What happened, and what about it: whether anything was lost and what to do next. */
export function problemSentences(problem: Problem, place: Place = {}): { what: string; next: string } {
  const what = all[`problem_${problem.code}`];
  const next = all[`problem_${problem.code}_next`];
  if (!what || !next) {
    return { what: messages.problem_other({ code: problem.code }), next: messages.problem_other_next() };
  }
  const params = readable(problem.params, place);
  return { what: what(params), next: next(params) };
}
