/**
 * What a text may be, by its form alone: as much of the shell's classification as has to be known before a key is let
 * through. `forms.json` holds both to the same answers.
 */

export type Form = 'coupon' | 'pickup' | 'product' | 'token' | 'member';

/** AIM's name of the symbol a scanner has read (ISO/IEC 15424): `]`, a letter, a digit or letter. */
const AIM = /^\][A-Za-z][0-9A-Za-z]/;

export function withoutAim(text: string): string {
  return text.replace(AIM, '');
}

export function hasAim(text: string): boolean {
  return AIM.test(text);
}

/** Null for what only a look-up can tell: names, article numbers, phone numbers, damaged codes. */
export function formOf(text: string): Form | null {
  const bare = withoutAim(text).trim();
  if (/^\d+$/.test(bare)) return formOfDigits(bare);
  if (/^CF1:[0-9A-Z$%*+./:]+$/i.test(bare)) return 'token';
  return /^M\d{4,20}$/i.test(bare) ? 'member' : null;
}

function formOfDigits(digits: string): Form | null {
  if (digits.length === 8) return 'pickup';
  if (digits.length >= 16 && digits.length <= 24) return 'coupon';
  return digits.length >= 12 && digits.length <= 14 && checkDigitFits(digits) ? 'product' : null;
}

/** GS1 General Specifications, 7.9. */
export function checkDigitFits(digits: string): boolean {
  const sum = [...digits].reverse().reduce((all, digit, place) => all + Number(digit) * (place % 2 === 0 ? 1 : 3), 0);
  return sum % 10 === 0;
}
