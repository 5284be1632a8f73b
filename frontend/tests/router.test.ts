import { describe, expect, it } from 'vitest'
import { href, parse } from '../src/lib/router.svelte'

describe('addresses', () => {
  it('come back as they went in, whatever a name holds', () => {
    const name = `</script><img onerror=alert(1)> a/b?c&d#e 100%`
    const place = parse(href('run', [name], { from: '1.5', note: 'x&y', none: undefined }))
    expect(place.view).toBe('run')
    expect(place.parts).toEqual([name])
    expect(Object.fromEntries(place.query)).toEqual({ from: '1.5', note: 'x&y' })
  })
  it('survive a broken escape', () => expect(parse('#/run/%zz').parts).toEqual(['%zz']))
})
