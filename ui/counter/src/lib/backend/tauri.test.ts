import { clearMocks, mockIPC } from '@tauri-apps/api/mocks';
import { emit } from '@tauri-apps/api/event';
import { afterEach, expect, it, vi } from 'vitest';
import type { AppState } from './bindings';
import { tauriBackend } from './tauri';

afterEach(clearMocks);

it('passes every argument on, by its name, and the answer back', async () => {
  const shell = vi.fn((_command: string, _given: unknown) => [] as unknown[]);
  mockIPC(shell);
  expect(await tauriBackend.queue('pending', 40)).toEqual({ status: 'ok', data: [] });
  expect(shell).toHaveBeenCalledWith('queue', { state: 'pending', beforeSeq: 40 });
  await tauriBackend.liftLock(null, 'm-1', '2468');
  expect(shell).toHaveBeenLastCalledWith('lift_lock', { clerkId: null, managerId: 'm-1', managerPin: '2468' });
});

it('hands on the problem that the shell names', async () => {
  const problem = { code: 'wrong_pin', params: { left: '4' }, detail: 'wrong PIN' };
  mockIPC(vi.fn().mockRejectedValue(problem));
  expect(await tauriBackend.signIn('c-1', '0000')).toEqual({ status: 'error', error: problem });
});

it('makes a problem of a bridge that fails', async () => {
  mockIPC(() => {
    throw new Error('the bridge broke');
  });
  expect(await tauriBackend.appState()).toEqual({
    status: 'error',
    error: { code: 'internal', params: {}, detail: 'Error: the bridge broke' },
  });
});

it('listens to the state, and stops', async () => {
  mockIPC(() => null, { shouldMockEvents: true });
  const listener = vi.fn();
  const stop = await tauriBackend.onStateChanged(listener);
  const state = { phase: 'desk' } as AppState;
  await emit('state-changed', state);
  expect(listener).toHaveBeenCalledExactlyOnceWith(state);
  stop();
  await emit('state-changed', state);
  expect(listener).toHaveBeenCalledOnce();
});
