import { beforeEach, describe, expect, it } from 'vitest';
import enProblems from '../../messages/en/problems.json';
import enReasons from '../../messages/en/reasons.json';
import enSales from '../../messages/en/sales.json';
import enScreens from '../../messages/en/screens.json';
import zhProblems from '../../messages/zh-CN/problems.json';
import zhReasons from '../../messages/zh-CN/reasons.json';
import zhSales from '../../messages/zh-CN/sales.json';
import zhScreens from '../../messages/zh-CN/screens.json';
import { EXCEPTION_CODES, PROBLEM_CODES, REASON_CODES } from './codes';
import { showLocale } from './locale.svelte';
import { exceptionSentence, problemSentences, reasonSentence } from './sentences';

type Messages = Record<string, unknown>;

const FILES: [string, Messages, Messages][] = [
  ['screens', enScreens, zhScreens],
  ['sales', enSales, zhSales],
  ['problems', enProblems, zhProblems],
  ['reasons', enReasons, zhReasons],
];

/** The parameters that a message uses; those of a plural are its inputs. */
function parameters(message: unknown): string[] {
  const text = JSON.stringify(message);
  return [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? ''))].sort();
}

const CHINESE = /[\u4e00-\u9fff]/;

describe.each(FILES)('messages of %s', (_name, en, zh) => {
  it('have the same keys in both languages', () => {
    expect(Object.keys(zh)).toEqual(Object.keys(en));
  });

  it('use the same parameters in both languages', () => {
    for (const key of Object.keys(en)) {
      // A discount is a percentage in English and tenths in Chinese; both are given to both.
      const own = key.startsWith('rule_percent_off') ? ['percent', 'tenths'] : [];
      const used = (message: unknown) => parameters(message).filter((name) => !own.includes(name));
      expect(used(zh[key]), key).toEqual(used(en[key]));
    }
  });

  it('are not empty', () => {
    for (const [key, text] of [...Object.entries(en), ...Object.entries(zh)]) expect(text, key).toBeTruthy();
  });

  it('speak no Chinese in English', () => {
    for (const [key, text] of Object.entries(en)) expect(JSON.stringify(text), key).not.toMatch(CHINESE);
  });
});

describe.each(['en', 'zh-CN'] as const)('every code in %s', (locale) => {
  const place = { timeZone: 'Asia/Shanghai', currency: 'CNY' };
  const values: Record<string, string> = {
    at: '1700000000000',
    until: '1700000000000',
    store: 'Xujiahui',
    by: 'Wang',
    limit: '12300',
    left: '3',
    seconds: '7',
    sku: 'A-100',
    package: 'fonts-noto-cjk',
  };
  const given = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, values[name] ?? '']));

  beforeEach(() => showLocale(locale));

  const check = (sentence: string) => {
    expect(sentence).not.toMatch(/undefined|null|NaN|\{|\}/);
    expect(CHINESE.test(sentence), sentence).toBe(locale === 'zh-CN');
  };

  it.each(Object.entries(REASON_CODES))('reason %s', (code, names) => {
    const sentence = reasonSentence({ code, params: given(names) }, place);
    check(sentence);
    expect(enReasons).toHaveProperty(`reason_${code}`);
    if ((names as readonly string[]).includes('at')) expect(sentence).toContain('2023');
    if ((names as readonly string[]).includes('limit')) expect(sentence).toContain('¥123.00');
    check(reasonSentence({ code, params: {} }, place));
  });

  it.each(Object.entries(PROBLEM_CODES))('problem %s', (code, names) => {
    const { what, next } = problemSentences({ code, params: given(names), detail: '' }, place);
    check(what);
    check(next);
    expect(enProblems).toHaveProperty(`problem_${code}`);
    expect(enProblems).toHaveProperty(`problem_${code}_next`);
    for (const name of names as readonly string[]) {
      expect(next).toContain(name === 'until' ? '2023' : values[name]);
    }
  });

  it.each(EXCEPTION_CODES)('exception %s', (code) => {
    const sentence = exceptionSentence(code, place);
    check(sentence);
    expect(enReasons).toHaveProperty(`exception_${code}`);
  });

  it('a code from the future', () => {
    expect(reasonSentence({ code: 'brand_new', params: {} })).toContain('brand_new');
    expect(problemSentences({ code: 'brand_new', params: {}, detail: '' }).what).toContain('brand_new');
    expect(exceptionSentence('brand_new')).toContain('brand_new');
  });

  it('an expiry without a date', () => {
    expect(reasonSentence({ code: 'expired', params: {} })).not.toContain(locale === 'en' ? 'unknown' : '未知');
  });
});
