import { vitePreprocess } from '@sveltejs/vite-plugin-svelte'

export default {
  preprocess: vitePreprocess(),
  // Class names come from the style alone, so that the bundle does not depend on where it is built.
  compilerOptions: { runes: true, cssHash: ({ hash, css }) => `svelte-${hash(css)}` },
}
