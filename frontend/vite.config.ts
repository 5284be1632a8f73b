import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

// The same source gives the same bytes: names carry a hash of the content, and nothing of the machine goes in.
export default defineConfig({
  plugins: [svelte()],
  base: './',
  build: {
    outDir: '../src/wattmark/dashboard/static',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    rolldownOptions: { input: ['index.html', 'saved.html'] },
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8765' } },
  test: { include: ['tests/**/*.test.ts'] },
})
