/** What holds for the messages of every front end. For tests alone. */

import { describe, expect, it } from 'vitest';
import type { Locale } from '../format';

export type Messages = Record<string, unknown>;

export const CHINESE = /[\u4e00-\u9fff]/;
const HAN = /[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]+/g;
/** Words that are the same in Chinese: names, keys of the keyboard, units, file kinds. */
const BOTH = new Set(
  'Counterfoil PIN Tab Del Esc Ctrl F CF English IT PDF PNG JPEG MB https hq example com h s v ¥'.split(' '),
);

/** What in a text is not of its language. */
export function foreignWords(text: string, language: Locale): string[] {
  if (language === 'en') return text.match(HAN) ?? [];
  return (text.match(/[A-Za-z]{2,}/g) ?? []).filter((word) => !BOTH.has(word));
}

/** The parameters that a message uses; those of a plural are its inputs. */
export function parameters(message: unknown): string[] {
  const text = JSON.stringify(message);
  return [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? ''))].sort();
}

/** The text of a message, or the texts of a plural. */
function textsOf(message: unknown): string[] {
  if (typeof message === 'string') return [message];
  const plural = message as { match: Record<string, string> }[];
  return plural.flatMap(({ match }) => Object.values(match));
}

/** `differing`: parameters that a message may use in one language alone. */
export function speakBothLanguages(
  name: string,
  en: Messages,
  zh: Messages,
  differing: (key: string) => string[] = () => [],
): void {
  describe(`messages of ${name}`, () => {
    const all = Object.keys(en).filter((key) => key !== '$schema');

    it('have the same keys in both languages', () => {
      expect(Object.keys(zh)).toEqual(Object.keys(en));
    });

    it('use the same parameters in both languages', () => {
      for (const key of all) {
        const used = (message: unknown) => parameters(message).filter((one) => !differing(key).includes(one));
        expect(used(zh[key]), key).toEqual(used(en[key]));
      }
    });

    it('are not empty', () => {
      for (const key of all) for (const text of [en[key], zh[key]]) expect(text, key).toBeTruthy();
    });

    it.each([
      ['en', en],
      ['zh-CN', zh],
    ] as const)('speak nothing but %s', (language, messages) => {
      for (const key of all) {
        for (const text of textsOf(messages[key])) {
          expect(foreignWords(text.replace(/\{\w+\}/g, ''), language), key).toEqual([]);
        }
      }
    });
  });
}
