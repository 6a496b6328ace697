/** Words that every front end says: the language, sentences of codes, and the labels of shared components. */

export * from './locale.svelte';
export * from './sentences';
export { m as words } from '../paraglide/messages.js';
