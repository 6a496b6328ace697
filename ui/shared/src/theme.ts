/** The look of this one machine; kept beside the browser's data, not at head office. */

export const THEMES = ['system', 'light', 'dark', 'contrast'] as const;
export type Theme = (typeof THEMES)[number];

const THEME_KEY = 'counterfoil.theme';

export function storedTheme(): Theme {
  const stored = localStorage.getItem(THEME_KEY);
  return THEMES.find((theme) => theme === stored) ?? 'system';
}

/** What "as the system" means right now; a wish for more contrast wins over dark. */
export function resolvedTheme(theme: Theme): Exclude<Theme, 'system'> {
  if (theme !== 'system') return theme;
  if (matchMedia('(prefers-contrast: more)').matches) return 'contrast';
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}

/** Shows and remembers a theme; the style sheets look at `data-theme` on the root. */
export function applyTheme(theme: Theme, root: HTMLElement = document.documentElement): void {
  localStorage.setItem(THEME_KEY, theme);
  root.dataset.theme = resolvedTheme(theme);
}

/** Follows the system while the stored theme says so. Returns the way to stop. */
export function followSystemTheme(root: HTMLElement = document.documentElement): () => void {
  const queries = [matchMedia('(prefers-color-scheme: dark)'), matchMedia('(prefers-contrast: more)')];
  const follow = () => {
    root.dataset.theme = resolvedTheme(storedTheme());
  };
  follow();
  for (const query of queries) query.addEventListener('change', follow);
  return () => {
    for (const query of queries) query.removeEventListener('change', follow);
  };
}
