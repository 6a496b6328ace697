/** The one door between the screens and what is behind them: the desktop shell, or demo data in a browser. */

import type {
  AppState,
  CameraFrame,
  CameraView,
  ClerkView,
  Confirmation,
  Problem,
  QueueRow,
  Receipt,
  Verdict,
} from './bindings';

export type * from './bindings';

export type Result<T> = { status: 'ok'; data: T } | { status: 'error'; error: Problem };
export type Answer<T> = Promise<Result<T>>;

export type ScanSource = 'typed' | 'scanned' | 'pasted' | 'camera';
export type Hints = {
  clerks: { name: string; pin: string }[];
  coupons: string[];
  pickups: string[];
};

export interface Backend {
  appState(): Answer<AppState>;
  setLocale(locale: 'zh-CN' | 'en'): Answer<AppState>;
  connect(address: string, code: string): Answer<AppState>;
  startSingleShop(shopName: string, managerName: string, managerPin: string): Answer<AppState>;
  startDemo(): Answer<AppState>;
  clerks(): Answer<ClerkView[]>;
  signIn(clerkId: string, pin: string): Answer<AppState>;
  signOut(): Answer<AppState>;
  lookUp(text: string, source: ScanSource): Answer<Verdict>;
  readPicture(base64: string): Answer<{ text: string; format: string }>;
  confirm(ticket: string): Answer<Confirmation>;
  voidRedemption(opId: string, reason: string, managerId: string, managerPin: string): Answer<Receipt>;
  queue(state: string | null, beforeSeq: number | null): Answer<QueueRow[]>;
  syncNow(): Answer<AppState>;
  cameras(): Answer<CameraView[]>;
  openCamera(index: number): Answer<null>;
  cameraFrame(): Answer<CameraFrame>;
  closeCamera(): Answer<null>;
  demoHints(): Answer<Hints | null>;
  /** Calls back whenever link, queue, phase or anything else of the state changes; returns the way to stop. */
  onStateChanged(listener: (state: AppState) => void): Promise<() => void>;
}

/** The condition is a constant of the build, so the demo data never reaches the normal bundle. */
export async function openBackend(): Promise<Backend> {
  if (import.meta.env.VITE_BACKEND === 'fake') {
    const { openFakeBackend } = await import('./fake');
    return openFakeBackend(new URLSearchParams(location.search));
  }
  const { tauriBackend } = await import('./tauri');
  return tauriBackend;
}
