/** What is wrong with a scanner, told from one scan of it. */

import { checkDigitFits, formOf, hasAim } from './forms';
import type { Seen } from './listen';
import { gapsOf, LIMITS, median, type ScannerSettings } from './recogniser';

/** What the test code says: what keyboard layouts, Caps Lock and hasty lines spoil. `scanner-test.png` shows it. */
export const TEST_TEXT = 'CF:YZyz-AQaq/0123456789]';

export type Finding =
  | { code: 'good' }
  | { code: 'no_end' }
  | { code: 'ends_with_tab' }
  | { code: 'layout'; swapped: { wanted: string; came: string }[] }
  | { code: 'caps_lock' }
  | { code: 'lost'; count: number }
  | { code: 'garbled' }
  | { code: 'check_digit' }
  | { code: 'surplus'; prefix: string; suffix: string }
  | { code: 'aim'; aim: string }
  | { code: 'slow'; perKey: number }
  | { code: 'gap'; longest: number }
  | { code: 'not_a_scanner'; perKey: number };

export interface Diagnosis {
  text: string;
  keys: number;
  /** Median, ms. */
  perKey: number;
  /** Longest pause, ms. */
  longest: number;
  findings: Finding[];
}

export function diagnose(seen: Seen, settings: ScannerSettings): Diagnosis {
  const text = seen.keys.map(({ char }) => char).join('');
  const gaps = gapsOf(seen.keys);
  const perKey = Math.round(median(gaps));
  const longest = Math.round(Math.max(0, ...gaps));
  const findings = [...ofEnd(seen, settings), ...ofText(text, settings), ...ofPace(perKey, longest)];
  return {
    text,
    keys: seen.keys.length,
    perKey,
    longest,
    findings: findings.every(({ code }) => code === 'aim') ? [{ code: 'good' }, ...findings] : findings,
  };
}

function ofEnd({ end }: Seen, settings: ScannerSettings): Finding[] {
  if (end === 'tab') return [{ code: 'ends_with_tab' }];
  return end === null && settings.ends === 'enter' ? [{ code: 'no_end' }] : [];
}

function ofPace(perKey: number, longest: number): Finding[] {
  if (perKey > LIMITS.slow) return [{ code: 'not_a_scanner', perKey }];
  if (perKey > LIMITS.usual) return [{ code: 'slow', perKey }];
  return longest > LIMITS.gap ? [{ code: 'gap', longest }] : [];
}

function ofText(came: string, { prefix, suffix }: ScannerSettings): Finding[] {
  const headless = prefix !== '' && came.startsWith(prefix) ? came.slice(prefix.length) : came;
  const text = suffix !== '' && headless.endsWith(suffix) ? headless.slice(0, -suffix.length) : headless;
  const aim: Finding[] = hasAim(text) ? [{ code: 'aim', aim: text.slice(0, 3) }] : [];
  const bare = hasAim(text) ? text.slice(3) : text;
  if (bare === TEST_TEXT) return aim;
  const at = bare.indexOf(TEST_TEXT);
  if (at >= 0) {
    return [...aim, { code: 'surplus', prefix: bare.slice(0, at), suffix: bare.slice(at + TEST_TEXT.length) }];
  }
  return [...aim, ...(isTestCode(bare) ? ofTestCode(bare) : ofOtherCode(bare))];
}

/** A layout changes letters, not their number; a hasty line loses some and keeps the order. */
function isTestCode(text: string): boolean {
  return (
    text.length === TEST_TEXT.length ||
    commonLength(text.toUpperCase(), TEST_TEXT.toUpperCase()) * 2 >= TEST_TEXT.length
  );
}

function ofTestCode(text: string): Finding[] {
  if (text.length < TEST_TEXT.length) {
    const inOrder = commonLength(text, TEST_TEXT) === text.length;
    return [inOrder ? { code: 'lost', count: TEST_TEXT.length - text.length } : { code: 'garbled' }];
  }
  if (text.length > TEST_TEXT.length) return [{ code: 'garbled' }];
  if (text.toUpperCase() === TEST_TEXT.toUpperCase()) return [{ code: 'caps_lock' }];
  const pairs = [...TEST_TEXT].map((wanted, index) => ({ wanted, came: text[index] ?? '' }));
  const swapped = pairs.filter(({ wanted, came }) => wanted !== came);
  return [swapped.length > 0 ? { code: 'layout', swapped } : { code: 'garbled' }];
}

/** Of any other code only the check digit says something. */
function ofOtherCode(text: string): Finding[] {
  if (formOf(text) !== null) return [];
  return /^\d{7,15}$/.test(text) && !checkDigitFits(text) ? [{ code: 'check_digit' }] : [];
}

/** Length of the longest common subsequence. */
function commonLength(one: string, other: string): number {
  let row = new Array<number>(other.length + 1).fill(0);
  for (const char of one) {
    const next = [0];
    for (let index = 1; index <= other.length; index += 1) {
      const longer =
        char === other[index - 1] ? (row[index - 1] ?? 0) + 1 : Math.max(row[index] ?? 0, next[index - 1] ?? 0);
      next.push(longer);
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
