/** Amounts, times and counts by locale, all through Intl; nothing here knows a message. */

export type Locale = 'zh-CN' | 'en';

/** zh-CN readers meet 7/4 as 4 July or 7 April; a 24-hour clock and a written month leave no doubt. */
const ENGLISH = 'en-GB';

function tag(locale: Locale): string {
  return locale === 'en' ? ENGLISH : locale;
}

/** Minor units of a currency, 2 unless Intl knows better (JPY 0, KWD 3). */
export function minorDigits(currency: string): number {
  try {
    const options = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions();
    return options.maximumFractionDigits ?? 2;
  } catch {
    return 2;
  }
}

/**
 * An amount in minor units as money. An unknown currency still shows the number and its name.
 * `short` leaves out decimals that are all zero, as on a printed coupon.
 */
export function money(minor: number, currency: string, locale: Locale, short = false): string {
  const unit = 10 ** minorDigits(currency);
  const major = minor / unit;
  const digits = short && minor % unit === 0 ? 0 : minorDigits(currency);
  try {
    return new Intl.NumberFormat(tag(locale), {
      style: 'currency',
      currency,
      currencyDisplay: 'narrowSymbol',
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    }).format(major);
  } catch {
    return `${major.toFixed(digits)} ${currency}`.trim();
  }
}

export function count(value: number, locale: Locale): string {
  return new Intl.NumberFormat(tag(locale)).format(value);
}

export function percent(share: number, locale: Locale, digits = 1): string {
  return new Intl.NumberFormat(tag(locale), {
    style: 'percent',
    maximumFractionDigits: digits,
  }).format(share);
}

/** One decimal at most: hours used, a discount in tenths. */
export function decimal(value: number, locale: Locale): string {
  return new Intl.NumberFormat(tag(locale), { maximumFractionDigits: 1 }).format(value);
}

const formatters = new Map<string, Intl.DateTimeFormat>();

function formatter(locale: Locale, timeZone: string | undefined, kind: 'date' | 'time' | 'dateTime') {
  const key = `${locale}|${timeZone ?? ''}|${kind}`;
  let found = formatters.get(key);
  if (!found) {
    const date: Intl.DateTimeFormatOptions = {
      year: 'numeric',
      month: locale === 'en' ? 'short' : 'long',
      day: 'numeric',
    };
    const time: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
    const options = kind === 'date' ? date : kind === 'time' ? time : { ...date, ...time };
    found = zoned(tag(locale), options, timeZone);
    formatters.set(key, found);
  }
  return found;
}

/** A zone that this machine does not know falls back to the machine's own instead of throwing. */
function zoned(name: string, options: Intl.DateTimeFormatOptions, timeZone: string | undefined) {
  try {
    return new Intl.DateTimeFormat(name, timeZone ? { ...options, timeZone } : options);
  } catch {
    return new Intl.DateTimeFormat(name, options);
  }
}

/** Times in ms since 1970, shown in the store's zone. */
export function date(ms: number, locale: Locale, timeZone?: string): string {
  return formatter(locale, timeZone, 'date').format(ms);
}

export function time(ms: number, locale: Locale, timeZone?: string): string {
  return formatter(locale, timeZone, 'time').format(ms);
}

export function dateTime(ms: number, locale: Locale, timeZone?: string): string {
  return formatter(locale, timeZone, 'dateTime').format(ms);
}

/** Only the clock when it is the same day in that zone, else day and clock. */
export function dayOrTime(ms: number, now: number, locale: Locale, timeZone?: string): string {
  return date(ms, locale, timeZone) === date(now, locale, timeZone)
    ? time(ms, locale, timeZone)
    : dateTime(ms, locale, timeZone);
}

/** "3 minutes ago"; the unit is the largest that is at least one. */
export function ago(ms: number, now: number, locale: Locale): string {
  const seconds = Math.round((ms - now) / 1000);
  const relative = new Intl.RelativeTimeFormat(tag(locale), { numeric: 'auto' });
  const size = Math.abs(seconds);
  if (size < 60) return relative.format(seconds, 'second');
  if (size < 3600) return relative.format(Math.trunc(seconds / 60), 'minute');
  if (size < 86_400) return relative.format(Math.trunc(seconds / 3600), 'hour');
  return relative.format(Math.trunc(seconds / 86_400), 'day');
}

/** A code in groups that an eye can compare: 18 digits as 6-6-6, 8 digits as 4-4. */
export function groupCode(code: string): string {
  if (!/^\d{6,}$/.test(code)) return code;
  const size = code.length % 6 === 0 ? 6 : 4;
  return code.match(new RegExp(`.{1,${size}}`, 'g'))?.join(' ') ?? code;
}

/**
 * A time that came as a text parameter: ms since 1970 as digits, or ISO 8601. Null when it is neither.
 */
export function instant(text: string | undefined): number | null {
  if (!text) return null;
  if (/^-?\d+$/.test(text)) return Number(text);
  const parsed = Date.parse(text);
  return Number.isNaN(parsed) ? null : parsed;
}
