// Requests to the server that the page came from. A mailed page holds its answers in itself and asks nobody.

import type { Amount } from './schema'

/** A number with its interval, as the server has it. */
export type Quantity = Amount

/** What the server said went wrong, and what to do next. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly hint: string = '',
  ) {
    super(message)
  }
}

type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>

/** The answers that a mailed page brings along, by address. */
const packed: Record<string, unknown> | null = (() => {
  const element = globalThis.document?.getElementById('wattmark-data')
  return element?.textContent ? (JSON.parse(element.textContent) as Record<string, unknown>) : null
})()

/** True in a page that was saved or mailed: there is no server to ask. */
export const offline = packed !== null

/** What a mailed page carries under a name of its own (`start`: the address that it opens at). */
export function packedValue(name: string): unknown {
  return packed?.[name]
}

export function address(path: string, query: Query = {}): string {
  const found = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === '') continue
    if (typeof value === 'object') for (const item of value) found.append(key, item)
    else found.append(key, String(value))
  }
  const text = found.toString()
  return `api/v1/${path}${text ? `?${text}` : ''}`
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const url = address(path, query)
  if (packed) {
    const answer = packed[url] ?? packed[`api/v1/${path}`]
    if (answer === undefined)
      throw new ApiError(404, 'this saved page does not hold that', 'open it with wattmark ui')
    return answer as T
  }
  return read<T>(await ask(url, { signal: signal ?? null }))
}

export async function send<T>(
  method: 'POST' | 'PATCH' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<T> {
  if (packed) throw new ApiError(405, 'a saved page cannot change anything', 'open it with wattmark ui')
  // The header makes the request one that a foreign page cannot send without asking first.
  const headers = { 'Content-Type': 'application/json', 'X-Wattmark': '1' }
  return read<T>(
    await ask(address(path), { method, headers, body: body === undefined ? null : JSON.stringify(body) }),
  )
}

/** Server-sent events; the browser reconnects by itself. Returns what closes it. */
export function listen(
  path: string,
  on: Record<string, (data: unknown) => void>,
  state: (open: boolean) => void = () => {},
): () => void {
  if (packed) return () => {}
  const source = new EventSource(address(path))
  for (const [name, handle] of Object.entries(on))
    source.addEventListener(name, (event) => handle(JSON.parse((event as MessageEvent<string>).data)))
  source.addEventListener('open', () => state(true))
  source.addEventListener('error', () => state(false))
  return () => source.close()
}

async function ask(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, 'the dashboard does not answer', 'is wattmark ui still running?')
  }
}

/** A request that is no longer wanted can end after its first bytes: no answer, and neither is half a document. */
function cutShort(error: unknown): never {
  if (error instanceof DOMException && error.name === 'AbortError') throw error
  throw new ApiError(0, 'the answer of the dashboard was cut short', 'is wattmark ui still running?')
}

async function read<T>(response: Response): Promise<T> {
  if (response.status === 204) return undefined as T
  if (response.ok) return (await response.json().catch(cutShort)) as T
  const body: unknown = await response.json().catch(() => null)
  const said = (body ?? {}) as { message?: string; hint?: string; detail?: unknown }
  const detail = typeof said.detail === 'string' ? said.detail : ''
  throw new ApiError(
    response.status,
    said.message ?? (detail || `the server answered ${response.status}`),
    said.hint,
  )
}
