import { followSystemTheme } from '@counterfoil/shared';
import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { App as Counter } from './lib/app.svelte';
import { openBackend } from './lib/backend';

followSystemTheme();

const target = document.getElementById('app');
if (target) {
  const counter = new Counter(await openBackend());
  mount(App, { target, props: { counter } });
  await counter.start();
}
