import { describe, expect, it } from 'vitest'
import type { Place, RunHead } from '../src/lib/schema'
import { columns, fitting } from '../src/views/runs/totals'
import { presets } from '../src/views/whatif/presets'

const run = (more: Partial<RunHead>) =>
  ({ epochs: 0, accelerators: [], power_cap: null, ...more }) as unknown as RunHead
const place = (id: string, grams: number, kind = 'country') =>
  ({ id, name: id, kind, intensity: { value: grams } }) as unknown as Place
const PLACES = [
  place('PL', 600),
  place('NO', 30),
  place('cloud', 1, 'cloud'),
  place('SE', 20),
  place('FR', 40),
]

describe('what is often asked', () => {
  it('is only what the run allows', () => {
    expect(presets(run({}), [])).toEqual([])
    expect(presets(run({ epochs: 1 }), PLACES).map((one) => one.title)).toEqual([
      'The three cleanest grids',
      'The cleanest and the dirtiest grid',
    ])
  })
  it('takes countries by the intensity of their grid', () => {
    const [cleanest, ends] = presets(run({}), PLACES)
    expect(cleanest?.alternatives).toEqual([{ zone: 'SE' }, { zone: 'NO' }, { zone: 'FR' }])
    expect(ends?.alternatives).toEqual([{ zone: 'SE' }, { zone: 'PL' }])
  })
  it('keeps the number of boards, and does not offer what the run had', () => {
    const had = (id: string) => run({ accelerators: [{ id, quantity: 4 }] as RunHead['accelerators'] })
    expect(presets(had('a100'), [])[0]?.alternatives).toEqual([{ hardware: [['h100-sxm', 4]] }])
    expect(presets(had('h100-sxm'), [])).toEqual([])
  })
  it('halves epochs, and keeps a limit within the board', () => {
    expect(presets(run({ epochs: 5 }), [])[0]?.alternatives).toEqual([{ epochs: 2 }])
    const cap = (min: number, max: number) => run({ power_cap: { min, max } as RunHead['power_cap'] })
    expect(presets(cap(100, 400), [])[0]?.alternatives).toEqual([{ cap: 280 }])
    expect(presets(cap(300, 400), [])).toEqual([])
  })
})

describe('the strip of totals', () => {
  it('takes days, weeks or months by how long the runs span', () => {
    const day = 86_400
    expect([[], [0], [0, 60 * day], [0, 90 * day], [0, 900 * day]].map(fitting)).toEqual([
      'day',
      'day',
      'day',
      'week',
      'month',
    ])
  })
  it('adds all groups up, leaves no day out and keeps measured and modelled apart', () => {
    const slices = [
      { start: '2026-01-30', key: 'a', measured: { value: 2 }, modelled: null },
      { start: '2026-01-30', key: 'b', measured: { value: 3 }, modelled: { value: 1 } },
      { start: '2026-02-01', key: 'a', measured: null, modelled: { value: 4 } },
    ]
    expect(columns({ slices } as never, 'day')).toEqual([
      { start: '2026-01-30', measured: 5, modelled: 1 },
      { start: '2026-01-31', measured: 0, modelled: 0 },
      { start: '2026-02-01', measured: 0, modelled: 4 },
    ])
  })
})
