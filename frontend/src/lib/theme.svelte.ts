// Light and dark: the system's choice until the user makes one. Charts read the tokens of app.css through `token`.

type Theme = 'light' | 'dark'
const KEY = 'wattmark-theme'
const system = globalThis.matchMedia?.('(prefers-color-scheme: dark)')

function stored(): Theme | null {
  try {
    const value = localStorage.getItem(KEY)
    return value === 'light' || value === 'dark' ? value : null
  } catch {
    return null // storage may be forbidden
  }
}

export const theme = $state<{ now: Theme }>({ now: stored() ?? (system?.matches ? 'dark' : 'light') })

export function applyTheme(now: Theme): void {
  theme.now = now
  document.documentElement.dataset['theme'] = now
}

export function toggleTheme(): void {
  applyTheme(theme.now === 'dark' ? 'light' : 'dark')
  try {
    localStorage.setItem(KEY, theme.now)
  } catch {
    // the choice then lasts as long as the page
  }
}

system?.addEventListener('change', (event) => stored() ?? applyTheme(event.matches ? 'dark' : 'light'))

/** A colour of the theme in force; read it inside an effect that reads `theme.now`. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
}
