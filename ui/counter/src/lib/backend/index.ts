/** The one door between the screens and what is behind them: the desktop shell, or demo data in a browser. */

import type { commands, events, Problem, Source } from './bindings';

export type * from './bindings';

export type Result<T> = { status: 'ok'; data: T } | { status: 'error'; error: Problem };
export type Answer<T> = Promise<Result<T>>;

export type ScanSource = Source;

type Events = typeof events;
type Payload<Name extends keyof Events> = Parameters<Parameters<Events[Name]['listen']>[0]>[0]['payload'];

/** The shell's commands as they are generated. */
export type Commands = typeof commands;

/** `onStateChanged` and its like: each calls back whenever it happens, and returns the way to stop. */
export type Listeners = {
  [Name in keyof Events as `on${Capitalize<Name>}`]: (
    listener: (payload: Payload<Name>) => void,
  ) => Promise<() => void>;
};

/** Nothing of it is listed here: a new command is in Rust, in the bindings, and in the fake, or it does not compile. */
export type Backend = Commands & Listeners;

/** The condition is a constant of the build, so the demo data never reaches the normal bundle. */
export async function openBackend(): Promise<Backend> {
  if (import.meta.env.VITE_BACKEND === 'fake') {
    const { openFakeBackend } = await import('./fake');
    return openFakeBackend(new URLSearchParams(location.search));
  }
  const { tauriBackend } = await import('./tauri');
  return tauriBackend;
}
