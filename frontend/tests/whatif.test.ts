import { describe, expect, it } from 'vitest'
import { cutRing, type Ring } from '../src/views/whatif/cut'
import { csv } from '../src/views/whatif/exporting'
import { project, unproject } from '../src/views/whatif/projection'
import type { Line } from '../src/stores/whatif/estimates.svelte'
import { option, table } from '../src/views/whatif/series'
import { decode, encode, History, type Plan } from '../src/stores/whatif/plan'
import type { Difference, EstimateOut, Place } from '../src/lib/schema'
import { difference } from '../src/views/whatif/words'
import { countriesByName, search, step, zoneOf } from '../src/views/whatif/zones'

function through(plan: Plan): Plan {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(encode(plan))) if (value) query.set(key, value)
  return decode(new URLSearchParams(query.toString()))
}

describe('scenarios in the address', () => {
  it('come back whole, whatever they hold', () => {
    const plan: Plan = {
      base: { zone: 'FR', price: 0.3, currency: '€' },
      alternatives: [
        {
          name: `</script>&#"'`,
          zone: 'aws:eu-north-1',
          year: 2022,
          pue: '1.2',
          hardware: [
            ['h100-sxm', 8],
            ['cpu:x', 1],
          ],
        },
        { run: '2026-a', epochs: 90, cap: 200, levels: { batch: '64', 'a b': 'x&y' }, price: 0 },
      ],
      active: 0,
    }
    expect(through(plan)).toEqual(plan)
  })
  it('drop what is not a scenario', () => {
    const bad = JSON.stringify([
      { zone: 5, epochs: -1, hardware: [['x', 65], ['y', 2], 'z'], cap: 'NaN', __proto__: { pue: '9' } },
      null,
      'x',
    ])
    expect(decode(new URLSearchParams({ alt: bad, on: '77' }))).toEqual({
      base: {},
      alternatives: [{ hardware: [['y', 2]] }, {}, {}],
      active: 2,
    })
    expect(decode(new URLSearchParams({ alt: '{{{', base: '[1' }))).toEqual({
      base: {},
      alternatives: [],
      active: -1,
    })
  })
})

describe('undo', () => {
  it('goes back and forth, and a new step ends the way forth', () => {
    const history = new History('a')
    history.push('b')
    history.push('b')
    history.push('c')
    expect([history.undo(), history.undo(), history.undo()]).toEqual(['b', 'a', null])
    expect([history.redo(), history.canRedo]).toEqual(['b', true])
    history.push('d')
    expect([history.redo(), history.undo()]).toEqual([null, 'b'])
  })
})

const place = (id: string, name: string, kind: Place['kind'], value = 100): Place => ({
  id,
  name,
  kind,
  country: null,
  intensity: { value, low: value, high: value, unit: 'g/kWh' },
  year: 2024,
  url: '',
  years: [2024],
  lat: null,
  lon: null,
})

describe('places', () => {
  const places = [
    place('CI', 'Ivory Coast', 'country'),
    place('SE', 'Sweden', 'country'),
    place('SE-SE1', 'North Sweden', 'region'),
    place('aws:eu-north-1', 'Stockholm', 'cloud'),
  ]
  it('are found by name, id or kind, the nearest first', () => {
    expect(search(places, 'sweden').map((one) => one.id)).toEqual(['SE', 'SE-SE1'])
    expect(search(places, 'EU-NORTH cloud').map((one) => one.id)).toEqual(['aws:eu-north-1'])
    expect(search(places, 'nowhere')).toEqual([])
  })
  it('are the countries of the map, also under its short names', () => {
    const names = countriesByName(places)
    expect(zoneOf("Côte d'Ivoire", names)).toBe('CI')
    expect(zoneOf('Sweden', names)).toBe('SE')
    expect(zoneOf('Somaliland', names)).toBeNull()
  })
  it('are coloured by steps', () => expect([0, 50, 599, 600].map(step)).toEqual([0, 1, 4, 5]))
})

describe('the map', () => {
  it('projects there and back', () => {
    for (const at of [
      [0, 0],
      [12.5, 55.7],
      [-179, -80],
      [179.9, 83],
    ]) {
      const back = unproject(project(at))
      expect(back[0]).toBeCloseTo(at[0]!, 6)
      expect(back[1]).toBeCloseTo(at[1]!, 6)
    }
  })
  it('cuts a ring at the 180th meridian and leaves others alone', () => {
    const ring: Ring = [
      [170, 0],
      [-170, 0],
      [-170, 10],
      [170, 10],
      [170, 0],
    ]
    const parts = cutRing(ring)
    expect(parts).toHaveLength(2)
    for (const part of parts) {
      const lons = part.map(([lon]) => lon)
      expect(Math.max(...lons) - Math.min(...lons)).toBeCloseTo(10)
      expect(part[0]).toEqual(part.at(-1))
    }
    const whole: Ring = [
      [0, 0],
      [10, 0],
      [10, 10],
      [0, 0],
    ]
    expect(cutRing(whole)).toEqual([whole])
  })
})

const side = (name: string): EstimateOut => ({
  energy: { value: 30, low: 27, high: 36, unit: 'J' },
  carbon: null,
  cost: null,
  duration: { value: 3, low: 3, high: 3, unit: 's' },
  unknown: {},
  shares: [],
  terms: [],
  notes: [name],
  course: {
    epoch: [1, 2, 3],
    measured: [true, true, false],
    extrapolated: [false, false, true],
    each: { energy: { value: [10, 10, 10], low: [9, 9, 8], high: [11, 11, 14] }, carbon: null, cost: null },
    total: {
      energy: { value: [10, 20, 30], low: [9, 18, 26], high: [11, 22, 36] },
      carbon: null,
      cost: null,
    },
  },
})
const lines: Line[] = [{ name: 'Original', estimate: side('a'), color: 's7', symbol: 'circle' }]

describe('the chart', () => {
  it('is dashed where epochs are extrapolated, and joins what was measured', () => {
    const made = option(lines, 'energy', true, () => '#000') as {
      series: { name: string; data: number[][]; lineStyle?: { type: string } }[]
    }
    const dashed = made.series.find((one) => one.lineStyle?.type === 'dashed')!
    expect(dashed.data.map((at) => at[0])).toEqual([2, 3])
    expect(made.series.find((one) => one.name === 'Original')!.data.map((at) => at[0])).toEqual([0, 1, 2])
  })
  it('is bars of totals where there are no epochs', () => {
    const bare: Line[] = [{ ...lines[0]!, estimate: { ...side('a'), course: null } }]
    const made = option(bare, 'energy', true, () => '#000') as { series: { type: string }[] }
    expect(made.series[0]!.type).toBe('bar')
    expect(table(bare, 'energy', true).rows).toEqual([['Original', '30', '27', '36']])
  })
  it('has a table that says what is extrapolated', () => {
    expect(table(lines, 'energy', true).rows[2]).toEqual([3, '30 [26, 36] (extrapolated)'])
    expect(table(lines, 'energy', false).rows[0]).toEqual([1, '10 [9, 11]'])
  })
})

describe('exported CSV', () => {
  it('has every epoch and total, and no formula from a name', () => {
    const text = csv([{ ...lines[0]!, name: '=1+1,"x"' }])
    expect(text.split('\r\n')[1]).toBe(`"'=1+1,""x""",1,false,energy,J,10,9,11,10,9,11`)
    expect(text).toContain('whole run,,energy,J,,,,30,27,36')
    expect(text).not.toMatch(/(^|\n|,)=/)
  })
  it.each(['=1', '+1+1', '-2+3', '@SUM(A1)', '\tx', '\nx', '＝1', '＋1+1', '－1', '＠x'])(
    'takes a name or unit like %j as text',
    (name) => {
      const text = csv([
        { ...lines[0]!, name, estimate: { ...side('a'), cost: { value: 1, low: 1, high: 1, unit: name } } },
      ])
      const cells = text.split(/\r\n|,/).map((cell) => cell.replace(/^"/, ''))
      expect(cells.filter((cell) => cell.startsWith(`'${name}`)).length).toBeGreaterThan(4)
      expect(cells.filter((cell) => cell.startsWith(name))).toEqual([])
    },
  )
  it('leaves names that are numbers as they are', () => {
    expect(csv([{ ...lines[0]!, name: '-1.5e3' }])).toMatch(/\r\n-1\.5e3,1,/)
  })
})

describe('differences in words', () => {
  const d = (
    value: number,
    low: number,
    high: number,
    verdict: Difference['verdict'],
    ratio: number | null,
  ): Difference => ({
    value,
    low,
    high,
    verdict,
    unit: 'J',
    ratio: ratio === null ? null : { value: ratio, low: ratio, high: ratio },
  })
  it('say direction, share and interval', () => {
    expect(difference(d(-31, -40, -20, 'less', 0.69))).toBe(
      '31 % less than the original: 31.0 J less, from 20.0 J to 40.0 J',
    )
    expect(difference(d(64, 60, 70, 'more', 3))).toBe(
      '3 times the original: 64.0 J more, from 60.0 J to 70.0 J',
    )
  })
  it('claim nothing that is not known', () => {
    expect(difference(d(1, -2, 4, 'unclear', 1.01))).toBe(
      'may be less or more: from 2.00 J less to 4.00 J more',
    )
    expect(difference(d(0, 0, 0, 'same', 1))).toBe('the same as the original')
    expect(difference(null)).toBe('not known')
  })
})
