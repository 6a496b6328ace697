/** What every front end draws the same way. Their words are in `words`, their looks need `theme.css`. */

export { default as Dialog } from './Dialog.svelte';
export { default as DialogClose } from './DialogClose.svelte';
export { default as LanguageSwitch } from './LanguageSwitch.svelte';
export { default as Mark } from './Mark.svelte';
export { default as ProblemCard } from './ProblemCard.svelte';
