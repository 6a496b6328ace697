import enProblems from '@counterfoil/shared/messages/en/problems.json';
import enReasons from '@counterfoil/shared/messages/en/reasons.json';
import { speakBothLanguages } from '@counterfoil/shared/testing';
import { expect, it } from 'vitest';
import enSales from '../../messages/en/sales.json';
import enScreens from '../../messages/en/screens.json';
import zhSales from '../../messages/zh-CN/sales.json';
import zhScreens from '../../messages/zh-CN/screens.json';
import { EXCEPTION_CODES, PROBLEM_CODES, REASON_CODES } from './codes';

speakBothLanguages('sales', enSales, zhSales);
// A discount is a percentage in English and tenths in Chinese; both are given to both.
speakBothLanguages('screens', enScreens, zhScreens, (key) =>
  key.startsWith('rule_percent_off') ? ['percent', 'tenths'] : [],
);

/** That every code has its sentence is the compiler's business, see `codes.ts`; this is the other way round. */
it.each([
  ['problem', enProblems, PROBLEM_CODES],
  ['reason', enReasons, REASON_CODES],
  ['exception', enReasons, EXCEPTION_CODES],
] as const)('no sentence of a %s is for a code that nobody says', (kind, messages, codes) => {
  const known = new Set([...codes, 'other'].flatMap((code) => [`${kind}_${code}`, `${kind}_${code}_next`]));
  const said = Object.keys(messages).filter((key) => key.startsWith(`${kind}_`) && !key.endsWith('_undated'));
  expect(said.filter((key) => !known.has(key))).toEqual([]);
});
