import { describe, expect, it } from 'vitest';
import { PLAIN_SCANNER } from './recogniser';
import { diagnose, TEST_TEXT } from './scanner-test';

const seen = (text: string, pause = 5, end: 'enter' | 'tab' | null = 'enter') => ({
  keys: [...text].map((char, index) => ({ char, at: index * pause })),
  end,
});
const findings = (...args: Parameters<typeof seen>) => diagnose(seen(...args), PLAIN_SCANNER).findings;

describe('the test of a scanner', () => {
  it('says that all is well', () => {
    expect(diagnose(seen(TEST_TEXT), PLAIN_SCANNER)).toEqual({
      text: TEST_TEXT,
      keys: TEST_TEXT.length,
      perKey: 5,
      longest: 5,
      findings: [{ code: 'good' }],
    });
    expect(findings(`]Q1${TEST_TEXT}`)).toEqual([{ code: 'good' }, { code: 'aim', aim: ']Q1' }]);
    expect(findings('6901234567892')).toEqual([{ code: 'good' }]);
  });

  it('names the keyboard layout by what it swaps', () => {
    // German keys under a scanner for American ones.
    expect(findings('CFÖZYzyßAQaq-0123456789+')).toEqual([
      {
        code: 'layout',
        swapped: [
          { wanted: ':', came: 'Ö' },
          { wanted: 'Y', came: 'Z' },
          { wanted: 'Z', came: 'Y' },
          { wanted: 'y', came: 'z' },
          { wanted: 'z', came: 'y' },
          { wanted: '-', came: 'ß' },
          { wanted: '/', came: '-' },
          { wanted: ']', came: '+' },
        ],
      },
    ]);
    expect(findings('cf:yzYZ-aqAQ/0123456789]')).toEqual([{ code: 'caps_lock' }]);
  });

  it('counts lost characters, here and in any product', () => {
    expect(findings(TEST_TEXT.replace('YZ', '').replace('5', ''))).toEqual([{ code: 'lost', count: 3 }]);
    expect(findings('690123456789')).toEqual([{ code: 'check_digit' }]);
    expect(findings(`${TEST_TEXT.slice(0, 20)}99999`)).toEqual([{ code: 'garbled' }]);
  });

  it('misses the terminator, unless none is expected', () => {
    expect(findings(TEST_TEXT, 5, null)).toEqual([{ code: 'no_end' }]);
    expect(findings(TEST_TEXT, 5, 'tab')).toEqual([{ code: 'ends_with_tab' }]);
    expect(diagnose(seen(TEST_TEXT, 5, null), { ...PLAIN_SCANNER, ends: 'silence' }).findings).toEqual([
      { code: 'good' },
    ]);
  });

  it('shows what is put around, until it is set', () => {
    expect(findings(`~${TEST_TEXT}#`)).toEqual([{ code: 'surplus', prefix: '~', suffix: '#' }]);
    const settings = { prefix: '~', suffix: '#', ends: 'enter' as const };
    expect(diagnose(seen(`~${TEST_TEXT}#`), settings).findings).toEqual([{ code: 'good' }]);
  });

  it('measures the pace', () => {
    expect(findings(TEST_TEXT, 80)).toEqual([{ code: 'slow', perKey: 80 }]);
    expect(findings(TEST_TEXT, 180)).toEqual([{ code: 'not_a_scanner', perKey: 180 }]);
    const torn = seen(TEST_TEXT);
    const keys = torn.keys.map((key, index) => ({ ...key, at: key.at + (index > 9 ? 600 : 0) }));
    expect(diagnose({ ...torn, keys }, PLAIN_SCANNER).findings).toEqual([{ code: 'gap', longest: 605 }]);
  });
});
