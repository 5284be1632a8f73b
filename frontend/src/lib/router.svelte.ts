// Where the user is: `#/run/ID?from=1&to=2`. A hash works from a file, behind any proxy,
// and never reaches a server's log.

export interface Place {
  /** First part of the path: the view. */
  view: string
  /** The other parts, decoded. */
  parts: string[]
  query: URLSearchParams
}

export function parse(hash: string): Place {
  const [path = '', query = ''] = splitOnce(hash.replace(/^#/, ''), '?')
  const parts = path.split('/').filter(Boolean).map(decode)
  return { view: parts[0] ?? 'runs', parts: parts.slice(1), query: new URLSearchParams(query) }
}

/** The address of a view; parts and values may be any text. Undefined and empty values are left out. */
export function href(
  view: string,
  parts: string[] = [],
  query: Record<string, string | undefined> = {},
): string {
  const path = [view, ...parts].map(encodeURIComponent).join('/')
  const kept = Object.entries(query).filter((pair): pair is [string, string] => !!pair[1])
  return `#/${path}${kept.length ? `?${new URLSearchParams(kept)}` : ''}`
}

export const router = $state<{ place: Place }>({ place: parse(globalThis.location?.hash ?? '') })

/** Go to a view, with an entry in the browser's history; `replace` leaves none (for what changes while one drags). */
export function go(address: string, replace = false): void {
  if (replace) history.replaceState(null, '', address)
  else history.pushState(null, '', address)
  router.place = parse(address)
}

/** Change some of the query; undefined removes a key. */
export function setQuery(changes: Record<string, string | undefined>, replace = true): void {
  const { view, parts, query } = router.place
  go(href(view, parts, { ...Object.fromEntries(query), ...changes }), replace)
}

globalThis.addEventListener?.('hashchange', () => (router.place = parse(location.hash)))
globalThis.addEventListener?.('popstate', () => (router.place = parse(location.hash)))

function splitOnce(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
