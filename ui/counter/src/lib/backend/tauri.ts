import type { Answer, Backend } from './index';
import { commands, events } from './bindings';

/** The bindings throw only when the bridge itself fails; screens see that as a problem like any other. */
async function guarded<T>(answer: Answer<T>): Answer<T> {
  try {
    return await answer;
  } catch (error) {
    return { status: 'error', error: { code: 'internal', params: {}, detail: String(error) } };
  }
}

export const tauriBackend: Backend = {
  appState: () => guarded(commands.appState()),
  setLocale: (locale) => guarded(commands.setLocale(locale)),
  setScanner: (scanner) => guarded(commands.setScanner(scanner)),
  connect: (address, code) => guarded(commands.connect(address, code)),
  startSingleShop: (shop, manager, pin) => guarded(commands.startSingleShop(shop, manager, pin)),
  startDemo: () => guarded(commands.startDemo()),
  clerks: () => guarded(commands.clerks()),
  signIn: (clerkId, pin) => guarded(commands.signIn(clerkId, pin)),
  signOut: () => guarded(commands.signOut()),
  liftLock: (clerkId, managerId, pin) => guarded(commands.liftLock(clerkId, managerId, pin)),
  lookUp: (text, source) => guarded(commands.lookUp(text, source)),
  productOf: (text) => guarded(commands.productOf(text)),
  readPicture: (base64) => guarded(commands.readPicture(base64)),
  readPastedPicture: () => guarded(commands.readPastedPicture()),
  confirm: (ticket) => guarded(commands.confirm(ticket)),
  voidRedemption: (opId, reason, managerId, pin) => guarded(commands.voidRedemption(opId, reason, managerId, pin)),
  quote: (basket) => guarded(commands.quote(basket)),
  settle: (ticket, tender, receipt) => guarded(commands.settle(ticket, tender, receipt)),
  sales: () => guarded(commands.sales()),
  sale: (opId) => guarded(commands.sale(opId)),
  returnPreview: (opId, lines, policy) => guarded(commands.returnPreview(opId, lines, policy)),
  returnSale: (opId, lines, policy, refund, reason, managerId, pin) =>
    guarded(commands.returnSale(opId, lines, policy, refund, reason, managerId, pin)),
  slip: (opId) => guarded(commands.slip(opId)),
  queue: (state, beforeSeq) => guarded(commands.queue(state, beforeSeq)),
  syncNow: () => guarded(commands.syncNow()),
  cameras: () => guarded(commands.cameras()),
  openCamera: (index) => guarded(commands.openCamera(index)),
  cameraFrame: () => guarded(commands.cameraFrame()),
  closeCamera: () => guarded(commands.closeCamera()),
  demoHints: () => guarded(commands.demoHints()),
  onStateChanged: (listener) => events.stateChanged.listen((event) => listener(event.payload)),
};
