import { afterEach, expect, test, vi } from 'vitest'
import { ApiError, get } from '../src/lib/api'

/** What fetch gives when the first bytes have come and the rest fails with this. */
function answerThatFails(error: unknown, status = 200): Response {
  const body = new ReadableStream({
    start(stream) {
      stream.enqueue(new TextEncoder().encode('[{"id": '))
      stream.error(error)
    },
  })
  return new Response(body, { status })
}

afterEach(() => vi.unstubAllGlobals())

test('a request that is given up after its first bytes is no answer', async () => {
  vi.stubGlobal('fetch', async () => answerThatFails(new DOMException('given up', 'AbortError')))
  await expect(get('hardware')).rejects.toMatchObject({ name: 'AbortError' })
})

test('half a document is an error in words', async () => {
  vi.stubGlobal('fetch', async () => answerThatFails(new TypeError('network error')))
  await expect(get('hardware')).rejects.toThrow(ApiError)
  await expect(get('hardware')).rejects.toThrow(/cut short/)
})

test('what the server says of a failure is said; without words, its status', async () => {
  vi.stubGlobal('fetch', async () => new Response('{"message": "no such run"}', { status: 404 }))
  await expect(get('runs/x')).rejects.toThrow('no such run')
  vi.stubGlobal('fetch', async () => answerThatFails(new TypeError('network error'), 502))
  await expect(get('runs/x')).rejects.toThrow('the server answered 502')
})
