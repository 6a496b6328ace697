import { paraglideVitePlugin } from '@inlang/paraglide-js';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

// Under vitest the compiler's file watcher would keep the process alive; `npm test` compiles the messages before.
const messages = process.env.VITEST
  ? []
  : ['../shared', '.'].map((folder) =>
      paraglideVitePlugin({
        project: `${folder}/project.inlang`,
        outdir: `${folder}/src/paraglide`,
        emitTsDeclarations: true,
      }),
    );

export default defineConfig({
  // The desktop shell serves the files from its own scheme, so every address is relative.
  base: './',
  plugins: [...messages, svelte(), tailwindcss(), svelteTesting()],
  build: {
    // WebKitGTK 2.40 and WebView2 of 2023.
    target: ['safari16.4', 'chrome111'],
    sourcemap: false,
  },
  server: { host: '127.0.0.1', port: 5173, strictPort: true },
  test: { environment: 'happy-dom', setupFiles: ['./src/test-setup.ts'] },
});
