// Views of the table of runs, kept in this browser; where it keeps nothing there are none.

export interface View {
  name: string
  /** What stands behind the ? of the address. */
  query: string
}

const KEY = 'wattmark-views'
const MOST = 20

export function kept(): View[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]')
    return Array.isArray(found) ? found.filter(isView).slice(0, MOST) : []
  } catch {
    return []
  }
}

/** The views from now on, as they are kept. */
export function keep(views: View[]): View[] {
  const last = views.slice(-MOST)
  try {
    localStorage.setItem(KEY, JSON.stringify(last))
  } catch {
    // a browser that keeps nothing shows them until it is closed
  }
  return last
}

function isView(value: unknown): value is View {
  const view = value as View | null
  return typeof view?.name === 'string' && typeof view.query === 'string'
}
