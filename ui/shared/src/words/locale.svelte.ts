import type { Locale } from '../format';
import { overwriteGetLocale } from '../paraglide/runtime.js';

/** A rune behind Paraglide's getLocale: every message on the screen follows a switch without a reload. */
let current = $state<Locale>('zh-CN');

overwriteGetLocale(() => current);

/** A front end with messages of its own puts this behind its own Paraglide too. */
export function locale(): Locale {
  return current;
}

export function showLocale(next: Locale): void {
  current = next;
  document.documentElement.lang = next;
}

/** Names arrive in both languages; an empty one gives way to the other. */
export function named(names: { nameZh: string; nameEn: string }): string {
  return current === 'zh-CN' ? names.nameZh || names.nameEn : names.nameEn || names.nameZh;
}
