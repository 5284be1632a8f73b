import js from '@eslint/js'
import svelte from 'eslint-plugin-svelte'
import { defineConfig } from 'eslint/config'
import globals from 'globals'
import ts from 'typescript-eslint'
import svelteConfig from './svelte.config.js'

export default defineConfig(
  { ignores: ['public/**', 'src/lib/schema.ts'] },
  js.configs.recommended,
  ts.configs.recommended,
  svelte.configs.recommended,
  svelte.configs.prettier,
  { languageOptions: { globals: globals.browser } },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser, extraFileExtensions: ['.svelte'], svelteConfig } },
  },
  {
    rules: {
      'max-len': ['error', { code: 120, ignoreUrls: true }],
      'no-unused-vars': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      // Most lists are drawn once, and a key that comes twice (two equal notes) would end the page.
      'svelte/require-each-key': 'off',
      // Maps and sets of these stores are private or replaced as a whole; what is followed is a SvelteMap.
      'svelte/prefer-svelte-reactivity': 'off',
      // A space at the end of a line would be formatted away.
      'svelte/no-useless-mustaches': 'off',
    },
  },
  { files: ['*.{js,mjs,ts}'], languageOptions: { globals: globals.node } },
)
