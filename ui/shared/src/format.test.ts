import { describe, expect, it } from 'vitest';
import { ago, dateTime, dayOrTime, groupCode, instant, money } from './format';

const noon = Date.UTC(2026, 10, 11, 4, 0);

describe('money', () => {
  it('follows the locale and the currency', () => {
    expect(money(123450, 'CNY', 'zh-CN')).toBe('¥1,234.50');
    expect(money(123450, 'CNY', 'en')).toBe('¥1,234.50');
    expect(money(500, 'JPY', 'en')).toBe('¥500');
    expect(money(123450, 'EUR', 'en')).toBe('€1,234.50');
  });

  it('is short on request, when nothing is lost by it', () => {
    expect(money(8000, 'CNY', 'zh-CN', true)).toBe('¥80');
    expect(money(8050, 'CNY', 'en', true)).toBe('¥80.50');
    expect(money(500, 'JPY', 'en', true)).toBe('¥500');
  });

  it('shows an unknown currency instead of throwing', () => {
    expect(money(1234, '', 'en')).toBe('12.34');
    expect(money(1234, 'nonsense', 'en')).toBe('12.34 nonsense');
  });
});

describe('times', () => {
  it('are in the zone of the store', () => {
    expect(dateTime(noon, 'en', 'Asia/Shanghai')).toBe('11 Nov 2026, 12:00');
    expect(dateTime(noon, 'zh-CN', 'Asia/Shanghai')).toContain('2026年11月11日');
    expect(dateTime(noon, 'en', 'Europe/Paris')).toContain('05:00');
  });

  it('survive a zone that the machine does not know', () => {
    expect(dateTime(noon, 'en', 'Nowhere/Land')).toContain('2026');
  });

  it('leave out the day when it is today', () => {
    expect(dayOrTime(noon, noon + 60_000, 'en', 'Asia/Shanghai')).toBe('12:00');
    expect(dayOrTime(noon, noon + 86_400_000, 'en', 'Asia/Shanghai')).toContain('Nov');
  });

  it('say how long ago', () => {
    expect(ago(noon - 180_000, noon, 'en')).toBe('3 minutes ago');
    expect(ago(noon - 180_000, noon, 'zh-CN')).toBe('3分钟前');
  });

  it('are read from parameters', () => {
    expect(instant('1700000000000')).toBe(1700000000000);
    expect(instant('2026-11-11T12:00:00+08:00')).toBe(noon);
    expect(instant('soon')).toBeNull();
    expect(instant(undefined)).toBeNull();
  });
});

describe('groupCode', () => {
  it('groups digits only', () => {
    expect(groupCode('123456789012345678')).toBe('123456 789012 345678');
    expect(groupCode('12345678')).toBe('1234 5678');
    expect(groupCode('CF1.abc')).toBe('CF1.abc');
  });
});
