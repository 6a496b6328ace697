import { describe, expect, it } from 'vitest';
import forms from '../../../crates/scan/forms.json';
import { checkDigitFits, formOf } from './forms';
import { judge, LIMITS, PLAIN_SCANNER, Recogniser, type Decision, type FieldKind } from './recogniser';

const COUPON = '260411000000012345';
const PRODUCT = '6901234567892';
const PICKUP = '40718826';
const TOKEN = 'CF1:GEZDGNBVGY3TQOJQ.GEZDGNBVGY3TQOJQ';
const CODES = [COUPON, PRODUCT, PICKUP, TOKEN, 'M00012345', '036000291452'];
const NAMELESS = ['LOT-2026-0017', 'https://shop.example/p/17', '6901234567893'];
const FIELDS: FieldKind[] = ['open', 'pin', 'number'];

/** Chance that is the same every time (Numerical Recipes). */
function chance(seed: number) {
  let state = seed;
  return (most: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % (most + 1);
  };
}

/** Pauses before the second key, the third, ..., the terminator. */
function feed(
  recogniser: Recogniser,
  text: string,
  pauses: readonly number[],
  from = 10_000,
  field: FieldKind = 'open',
) {
  let at = from;
  [...text].forEach((char, index) => recogniser.key(char, (at += index === 0 ? 0 : (pauses[index - 1] ?? 0))));
  at += pauses[text.length - 1] ?? 0;
  return { decision: recogniser.end(at, field), at };
}

const once = (text: string, pauses: readonly number[], field: FieldKind = 'open') =>
  feed(new Recogniser(), text, pauses, 10_000, field).decision;

const steady = (text: string, pause: number) => new Array<number>(text.length).fill(pause);

const whole = (text: string): Partial<Decision> => ({ kind: 'scan', text, from: 0 });

describe('a burst', () => {
  it.each([0, 5, 15, 40, 50])('of %i ms a key is a scan, whatever it says and wherever it goes', (pause) => {
    for (const field of FIELDS) {
      for (const text of [...CODES, ...NAMELESS]) {
        expect(once(text, steady(text, pause), field)).toEqual({ ...whole(text), sure: true });
      }
    }
  });

  it('is whole with one gap of 100 to 400 ms at any place, also before the terminator', () => {
    const random = chance(1);
    for (const text of [...CODES, ...NAMELESS]) {
      for (const pause of [5, 15, 40]) {
        for (let place = 0; place < text.length; place += 1) {
          for (const gap of [100, 250, 400, 100 + random(300)]) {
            const pauses = steady(text, pause).with(place, gap);
            for (const field of FIELDS)
              expect(once(text, pauses, field), `${text} ${pauses.join(' ')}`).toMatchObject(whole(text));
          }
        }
      }
    }
  });

  it('bears the unsteadiness of a busy machine', () => {
    const random = chance(2);
    for (let run = 0; run < 2000; run += 1) {
      const text = CODES[random(CODES.length - 1)] ?? COUPON;
      const pauses = steady(text, 0).map(() => (random(3) === 0 ? random(LIMITS.steady) : random(30)));
      const gap = random(text.length - 1);
      const decision = once(text, pauses.with(gap, 100 + random(300)));
      // Mostly fast is a burst by its shape; otherwise it is still a code.
      expect(decision, String(pauses)).toMatchObject(whole(text));
    }
  });

  it('with more gaps is what it says, or nothing at all', () => {
    const pauses = steady(COUPON, 5).with(3, 200).with(9, 300);
    expect(once(COUPON, pauses)).toMatchObject(whole(COUPON));
    expect(once('LOT-2026-0017', steady('LOT-2026-0017', 5).with(3, 200).with(9, 300))).toMatchObject({
      kind: 'unclear',
    });
  });

  it('never hands out a tail, wherever and however often it is cut', () => {
    const random = chance(3);
    for (let run = 0; run < 5000; run += 1) {
      const all = [...CODES, ...NAMELESS];
      const text = all[random(all.length - 1)] ?? COUPON;
      const pauses = steady(text, 2 + random(45));
      for (let cuts = random(3); cuts >= 0; cuts -= 1) pauses[random(text.length - 1)] = 91 + random(900);
      const decision = once(text, pauses, FIELDS[random(2)]);
      if (decision.kind === 'scan') expect(decision.text, String(pauses)).toBe(text);
    }
  });

  it('needs no terminator in time when it is a code', () => {
    expect(once(COUPON, steady(COUPON, 5).with(COUPON.length - 1, 5000))).toMatchObject(whole(COUPON));
    expect(once('LOT-2026-0017', steady('LOT-2026-0017', 5).with(12, 5000))).toEqual({ kind: 'typed' });
    // Here nothing that came from a scanner may stay.
    expect(once('LOT-2026-0017', steady('LOT-2026-0017', 5).with(12, 5000), 'number').kind).toBe('scan');
  });
});

describe('slow input', () => {
  it('of 80 ms a key is a scan when it is a code', () => {
    const random = chance(4);
    for (const text of CODES) {
      for (let place = 0; place < text.length; place += 1) {
        const pauses = steady(text, 80).map((pause) => pause - 10 + random(20));
        expect(once(text, pauses.with(place, 100 + random(300)))).toEqual({ ...whole(text), sure: false });
      }
    }
  });

  it('of up to 120 ms a key, unless it is as short as a number that people type', () => {
    expect(once(COUPON, steady(COUPON, 115))).toMatchObject(whole(COUPON));
    expect(once(PICKUP, steady(PICKUP, 115))).toEqual({ kind: 'typed' });
  });

  it('is typed when it is none', () => {
    for (const text of NAMELESS) expect(once(text, steady(text, 80))).toEqual({ kind: 'typed' });
  });

  it('of a person is typed, code or not', () => {
    for (const text of [...CODES, ...NAMELESS]) expect(once(text, steady(text, 130))).toEqual({ kind: 'typed' });
  });

  it('never keeps a PIN from being a PIN', () => {
    for (const pin of ['40718826', '036000291452'])
      expect(once(pin, steady(pin, 80), 'pin')).toEqual({ kind: 'typed' });
    expect(once('123456', steady('123456', 5), 'pin')).toEqual({ kind: 'typed' });
    expect(once(COUPON, steady(COUPON, 80), 'pin')).toMatchObject(whole(COUPON));
  });
});

describe('a person', () => {
  it('who types just before a scan keeps what was typed', () => {
    const text = `cash ${PRODUCT}`;
    const pauses = [150, 160, 140, 170, 300, ...steady(PRODUCT, 5)];
    expect(once(text, pauses)).toEqual({ kind: 'scan', text: PRODUCT, from: 5, sure: true });
  });

  it('who types just before a scan that is cut loses neither', () => {
    for (let place = 0; place < PRODUCT.length - 1; place += 1) {
      const pauses = [150, 160, 140, 170, 300, ...steady(PRODUCT, 5).with(place, 250)];
      const decision = once(`cash ${PRODUCT}`, pauses);
      if (decision.kind === 'scan') expect(decision).toMatchObject({ text: PRODUCT, from: 5 });
      else expect(decision.kind).toBe('unclear');
    }
  });

  it('who pauses is not part of what comes next', () => {
    const recogniser = new Recogniser();
    recogniser.key('9', 0);
    expect(feed(recogniser, COUPON, steady(COUPON, 5), 1200).decision).toMatchObject(whole(COUPON));
  });

  it('who edits begins anew, and spoils a scan rather than changing it', () => {
    const recogniser = new Recogniser();
    recogniser.key('1', 0);
    recogniser.key('2', 200);
    recogniser.edited();
    expect(feed(recogniser, PRODUCT, steady(PRODUCT, 5), 300).decision).toMatchObject(whole(PRODUCT));
    for (const char of '69012345') recogniser.key(char, 1000);
    recogniser.edited();
    expect(feed(recogniser, '00016', steady('00016', 5), 1005).decision).toEqual({ kind: 'unclear', from: 0 });
  });

  it('who holds a key down types', () => {
    expect(once('0000000000', steady('0000000000', 30))).toEqual({ kind: 'typed' });
  });

  it('whose Enter comes within half a second of a burst has not pressed it', () => {
    const recogniser = new Recogniser();
    const { at } = feed(recogniser, COUPON, steady(COUPON, 5));
    expect(recogniser.end(at + 10, 'open')).toEqual({ kind: 'echo' });
    expect(recogniser.end(at + LIMITS.afterwards, 'open')).toEqual({ kind: 'echo' });
    expect(recogniser.end(at + LIMITS.afterwards + 1, 'open')).toEqual({ kind: 'typed' });
    // After a burst without an end it is not let through either.
    expect(once('LOT-2026-0017', steady('LOT-2026-0017', 5).with(12, 450)).kind).toBe('unclear');
  });
});

describe('two scans', () => {
  it('are two, of the same code and however close', () => {
    const recogniser = new Recogniser();
    const first = feed(recogniser, PRODUCT, steady(PRODUCT, 2));
    const second = feed(recogniser, PRODUCT, steady(PRODUCT, 2), first.at + 2);
    expect([first.decision, second.decision]).toEqual([
      { ...whole(PRODUCT), sure: true },
      { ...whole(PRODUCT), sure: true },
    ]);
  });
});

describe('what a scanner puts around', () => {
  const settings = { prefix: '~', suffix: '#', ends: 'enter' as const };

  it('is taken off, and a prefix makes the shortest code a scan', () => {
    const recogniser = new Recogniser(() => settings);
    expect(feed(recogniser, `~${COUPON}#`, steady(`~${COUPON}#`, 5)).decision).toMatchObject(whole(COUPON));
    expect(feed(recogniser, '~S01#', steady('~S01#', 5), 20_000).decision).toMatchObject(whole('S01'));
    expect(feed(recogniser, 'S01', steady('S01', 5), 30_000).decision).toEqual({ kind: 'typed' });
  });

  it('names the symbol by AIM, which is left to the look-up', () => {
    expect(once(']E0S01', steady(']E0S01', 5))).toMatchObject(whole(']E0S01'));
    expect(once(`]C1${COUPON}`, steady(`]C1${COUPON}`, 80))).toMatchObject(whole(`]C1${COUPON}`));
  });

  it('may be nothing at all: then silence ends a scan, and only then', () => {
    const silent = new Recogniser(() => ({ ...PLAIN_SCANNER, ends: 'silence' }));
    let at = 0;
    for (const char of PRODUCT) silent.key(char, (at += 5));
    expect(silent.silence(at + 401)).toMatchObject(whole(PRODUCT));
    const plain = new Recogniser();
    for (const char of PRODUCT) plain.key(char, (at += 5));
    expect(plain.silence(at + 401)).toEqual({ kind: 'typed' });
    expect(plain.keys).toHaveLength(PRODUCT.length);
  });
});

describe('what a text is', () => {
  it.each(forms)('$text', ({ text, form }) => expect(formOf(text)).toBe(form));

  it('is told by the check digit', () => {
    expect(checkDigitFits('6901234567892')).toBe(true);
    expect(checkDigitFits('6901234567893')).toBe(false);
  });

  it('is judged without any time but that of the keys', () => {
    const keys = [...PRODUCT].map((char, index) => ({ char, at: index }));
    expect(judge(keys, 1, 'open', PLAIN_SCANNER)).toEqual(judge(keys, 1, 'open', PLAIN_SCANNER));
  });
});
