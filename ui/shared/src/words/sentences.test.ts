import { beforeEach, describe, expect, it } from 'vitest';
import enCommon from '../../messages/en/common.json';
import enProblems from '../../messages/en/problems.json';
import enReasons from '../../messages/en/reasons.json';
import zhCommon from '../../messages/zh-CN/common.json';
import zhProblems from '../../messages/zh-CN/problems.json';
import zhReasons from '../../messages/zh-CN/reasons.json';
import { CHINESE, parameters, speakBothLanguages } from '../testing';
import { exceptionSentence, locale, named, problemSentences, reasonSentence, showLocale } from '.';

speakBothLanguages('common', enCommon, zhCommon);
speakBothLanguages('problems', enProblems, zhProblems);
speakBothLanguages('reasons', enReasons, zhReasons);

/** The codes that have a message of such a key. */
function codesOf(messages: object, start: string): string[] {
  const keys = Object.keys(messages).filter(
    (key) => key.startsWith(`${start}_`) && !/_(other|next|undated)$/.test(key),
  );
  return keys.filter((key) => key !== `${start}_other_next`).map((key) => key.slice(start.length + 1));
}

describe.each(['en', 'zh-CN'] as const)('every sentence in %s', (language) => {
  const place = { timeZone: 'Asia/Shanghai', currency: 'CNY' };
  /** What is handed over, and what is read of it. */
  const values: Record<string, [string, string]> = {
    at: ['1700000000000', '2023'],
    until: ['1700000000000', '2023'],
    store: ['Xujiahui', 'Xujiahui'],
    by: ['Wang', 'Wang'],
    limit: ['12300', '¥123.00'],
    left: ['3', '3'],
    seconds: ['7', '7'],
    sku: ['A-100', 'A-100'],
    package: ['fonts-noto-cjk', 'fonts-noto-cjk'],
  };
  const params = Object.fromEntries(Object.entries(values).map(([name, [given]]) => [name, given]));

  beforeEach(() => showLocale(language));

  function check(sentence: string, message?: unknown) {
    expect(sentence).not.toMatch(/undefined|null|NaN|\{|\}/);
    expect(CHINESE.test(sentence), sentence).toBe(language === 'zh-CN');
    for (const name of message === undefined ? [] : parameters(message)) {
      expect(sentence, name).toContain(values[name]?.[1]);
    }
  }

  it.each(codesOf(enReasons, 'reason'))('reason %s', (code) => {
    check(reasonSentence({ code, params }, place), enReasons[`reason_${code}` as keyof typeof enReasons]);
    check(reasonSentence({ code, params: {} }, place));
  });

  it.each(codesOf(enProblems, 'problem'))('problem %s', (code) => {
    const key = `problem_${code}` as keyof typeof enProblems;
    const { what, next } = problemSentences({ code, params, detail: '' }, place);
    check(what, enProblems[key]);
    check(next, enProblems[`${key}_next` as keyof typeof enProblems]);
    const bare = problemSentences({ code, params: {}, detail: '' }, place);
    check(bare.what);
    check(bare.next);
  });

  it.each(codesOf(enReasons, 'exception'))('exception %s', (code) => {
    check(exceptionSentence(code, place));
  });

  it('an attempt that failed says the reason', () => {
    expect(exceptionSentence('not_owner')).toBe(reasonSentence({ code: 'not_owner', params: {} }));
  });

  it('a code from the future', () => {
    expect(reasonSentence({ code: 'brand_new', params: {} })).toContain('brand_new');
    expect(problemSentences({ code: 'brand_new', params: {}, detail: '' }).what).toContain('brand_new');
    expect(exceptionSentence('brand_new')).toContain('brand_new');
  });

  it('an expiry without a date', () => {
    expect(reasonSentence({ code: 'expired', params: {} })).not.toContain(language === 'en' ? 'unknown' : '未知');
  });

  it('the page and names follow the language', () => {
    expect([locale(), document.documentElement.lang]).toEqual([language, language]);
    expect(named({ nameZh: '静安寺店', nameEn: 'Jing’an' })).toBe(language === 'en' ? 'Jing’an' : '静安寺店');
    expect(named({ nameZh: '', nameEn: 'Jing’an' })).toBe('Jing’an');
    expect(named({ nameZh: '静安寺店', nameEn: '' })).toBe('静安寺店');
  });
});
