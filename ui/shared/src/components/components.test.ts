import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { createRawSnippet } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { showLocale } from '../words';
import { Dialog, LanguageSwitch, ProblemCard } from '.';

beforeEach(() => showLocale('en'));
afterEach(cleanup);

const children = createRawSnippet(() => ({ render: () => '<p>Inside</p>' }));

describe('the problem card', () => {
  const problem = { code: 'pin_locked', params: { until: '1700000000000' }, detail: 'locked' };

  it('says what happened and what to do, by the clock of the place', () => {
    render(ProblemCard, { problem, place: { timeZone: 'Asia/Shanghai' } });
    const card = screen.getByRole('alert');
    expect(card.dataset.code).toBe('pin_locked');
    expect(screen.getByRole('heading').textContent).toBe('Locked after too many wrong PINs');
    expect(card.textContent).toContain('15 Nov 2023, 06:13');
    expect(card.textContent).toContain('pin_locked · locked');
  });

  it('leaves the technical line out where there is little room', () => {
    render(ProblemCard, { problem, compact: true });
    expect(screen.getByRole('alert').textContent).not.toContain('pin_locked');
  });

  it('goes away when asked to, and only then has a button for it', async () => {
    const { unmount } = render(ProblemCard, { problem });
    expect(screen.queryByRole('button')).toBeNull();
    unmount();
    const onclose = vi.fn();
    render(ProblemCard, { problem, onclose });
    await fireEvent.click(screen.getByRole('button', { name: 'Close' }));
    expect(onclose).toHaveBeenCalledOnce();
  });
});

describe('the language switch', () => {
  it('asks for the language that is pressed, and follows the one that is shown', async () => {
    const onswitch = vi.fn((next: 'zh-CN' | 'en') => showLocale(next));
    render(LanguageSwitch, { onswitch });
    const pressed = () => screen.getAllByRole('button', { pressed: true }).map((button) => button.textContent);
    expect(pressed()).toEqual(['English']);
    await fireEvent.click(screen.getByTestId('lang-zh'));
    expect(onswitch).toHaveBeenCalledExactlyOnceWith('zh-CN');
    expect(pressed()).toEqual(['中文']);
    expect(screen.getByRole('group', { name: '语言' })).toBeTruthy();
  });

  it('carries its test ids once on a page', () => {
    render(LanguageSwitch, { onswitch: vi.fn(), testids: false });
    expect(screen.queryByTestId('lang-zh')).toBeNull();
  });
});

describe('the dialog', () => {
  const props = { testId: 'ask', title: 'Undo?', text: 'It is kept.', size: 'p-8', children };

  it('is named and described for those who hear it', () => {
    render(Dialog, { ...props, subject: 'Coupon 12' });
    const dialog = screen.getByRole('dialog', { name: 'Undo?' });
    expect(dialog.dataset.testid).toBe('ask');
    expect([...dialog.classList]).toEqual(expect.arrayContaining(['card', 'p-8']));
    expect(dialog.textContent).toMatch(/Undo\?\s*Coupon 12\s*It is kept\.\s*Inside/);
    const described = document.getElementById(dialog.getAttribute('aria-describedby') ?? '');
    expect(described?.textContent).toBe('It is kept.');
  });

  it('closes by Escape and says so', async () => {
    const onclose = vi.fn();
    render(Dialog, { ...props, onclose });
    await fireEvent.keyDown(document.activeElement ?? document.body, { key: 'Escape' });
    expect(onclose).toHaveBeenCalledOnce();
  });

  it('stays away while it is not open', () => {
    render(Dialog, { ...props, open: false });
    expect(screen.queryByRole('dialog')).toBeNull();
  });
});
