import { expect, it } from 'vitest';
import { applyTheme, storedTheme } from './theme';

it('remembers the theme and falls back to the system', () => {
  localStorage.clear();
  expect(storedTheme()).toBe('system');
  applyTheme('contrast');
  expect(storedTheme()).toBe('contrast');
  expect(document.documentElement.dataset.theme).toBe('contrast');
  localStorage.setItem('counterfoil.theme', 'nonsense');
  expect(storedTheme()).toBe('system');
});

it('resolves "system" to a theme that the style sheet knows', () => {
  applyTheme('system');
  expect(['light', 'dark', 'contrast']).toContain(document.documentElement.dataset.theme);
  expect(storedTheme()).toBe('system');
});
