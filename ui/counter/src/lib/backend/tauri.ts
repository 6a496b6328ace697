import { commands, events } from './bindings';
import type { Answer, Backend, Commands, Listeners } from './index';

/** The bindings throw only when the bridge itself fails; screens see that as a problem like any other. */
function guarded<Given extends unknown[]>(command: (...given: Given) => Answer<unknown>) {
  return async (...given: Given): Answer<unknown> => {
    try {
      return await command(...given);
    } catch (error) {
      return { status: 'error', error: { code: 'internal', params: {}, detail: String(error) } };
    }
  };
}

function each<Value, Made>(of: Record<string, Value>, make: (name: string, value: Value) => [string, Made]) {
  return Object.fromEntries(Object.entries(of).map(([name, value]) => make(name, value)));
}

type Command = (...given: unknown[]) => Answer<unknown>;
type Event = { listen: (hear: (event: { payload: unknown }) => void) => Promise<() => void> };

const called = each(commands as unknown as Record<string, Command>, (name, command) => [name, guarded(command)]);

const heard = each(events as unknown as Record<string, Event>, (name, event) => [
  `on${name.charAt(0).toUpperCase()}${name.slice(1)}`,
  (listener: (payload: unknown) => void) => event.listen(({ payload }) => listener(payload)),
]);

export const tauriBackend: Backend = { ...(called as unknown as Commands), ...(heard as unknown as Listeners) };
