/** The one door between the screens and what is behind them: the desktop shell, or demo data in a browser. */

import type {
  AppState,
  Basket,
  CameraFrame,
  CameraView,
  ClerkView,
  Confirmation,
  DemoHints,
  Found,
  PictureText,
  Problem,
  ProductView,
  QueueRow,
  QuoteView,
  Receipt,
  ReturnLine,
  ReturnPolicy,
  ReturnPreview,
  SaleRow,
  SaleView,
  ScannerSettings,
  Settled,
  Slip,
} from './bindings';

export type * from './bindings';

export type Result<T> = { status: 'ok'; data: T } | { status: 'error'; error: Problem };
export type Answer<T> = Promise<Result<T>>;

export type ScanSource = 'typed' | 'scanned' | 'pasted' | 'camera';

export interface Backend {
  appState(): Answer<AppState>;
  setLocale(locale: 'zh-CN' | 'en'): Answer<AppState>;
  setScanner(scanner: ScannerSettings): Answer<AppState>;
  connect(address: string, code: string): Answer<AppState>;
  startSingleShop(shopName: string, managerName: string, managerPin: string): Answer<AppState>;
  startDemo(): Answer<AppState>;
  clerks(): Answer<ClerkView[]>;
  signIn(clerkId: string, pin: string): Answer<AppState>;
  signOut(): Answer<AppState>;
  /** Ends the lock of somebody, or of the whole counter, after too much that was wrong. */
  liftLock(clerkId: string | null, managerId: string, managerPin: string): Answer<AppState>;
  lookUp(text: string, source: ScanSource): Answer<Found>;
  /** The product that a text is the barcode of; looks for nobody. */
  productOf(text: string): Answer<ProductView | null>;
  /** Every code in the picture. */
  readPicture(base64: string): Answer<PictureText[]>;
  /** The same for the picture on the clipboard, which the window may not be given. */
  readPastedPicture(): Answer<PictureText[]>;
  confirm(ticket: string): Answer<Confirmation>;
  voidRedemption(opId: string, reason: string, managerId: string, managerPin: string): Answer<Receipt>;
  quote(basket: Basket): Answer<QuoteView>;
  settle(ticket: string, tender: string, receipt: string): Answer<Settled>;
  /** Those of today, in the store's zone, newest first. */
  sales(): Answer<SaleRow[]>;
  sale(opId: string): Answer<SaleView>;
  returnPreview(opId: string, lines: ReturnLine[], policy: ReturnPolicy): Answer<ReturnPreview>;
  returnSale(
    opId: string,
    lines: ReturnLine[],
    policy: ReturnPolicy,
    /** What the preview said. */
    refund: number,
    reason: string,
    managerId: string,
    managerPin: string,
  ): Answer<Receipt>;
  /** Writes the slip as PDF, opens it, and says where it is. */
  slip(opId: string): Answer<Slip>;
  queue(state: string | null, beforeSeq: number | null): Answer<QueueRow[]>;
  syncNow(): Answer<AppState>;
  cameras(): Answer<CameraView[]>;
  openCamera(index: number): Answer<null>;
  cameraFrame(): Answer<CameraFrame>;
  closeCamera(): Answer<null>;
  demoHints(): Answer<DemoHints | null>;
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
