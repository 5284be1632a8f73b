import { expect, test } from 'vitest'
import { asWord, chosen, courseLines, FIXED, possible } from '../src/views/runs/columns'
import { kept } from '../src/views/runs/savedViews'
import type { Row } from '../src/views/runs/rows'

const row = (metrics: Record<string, number>, tags: Record<string, string>) =>
  ({ metrics, tags }) as unknown as Row

test('without a word of it there are the columns that every run has; on a phone those that fit', () => {
  expect(chosen(null)).toEqual(FIXED)
  expect(chosen(null, true).map(({ key }) => key)).toEqual(['name', 'energy', 'carbon'])
})

test('metrics and tags are columns, in the address and back', () => {
  const keys = ['name', 'energy', 'metric:val/loss, raw', 'tag:model']
  const word = asWord(keys)!
  expect(chosen(word).map(({ key }) => key)).toEqual(keys)
  expect(chosen(word).at(-2)).toMatchObject({
    label: 'val/loss, raw',
    number: true,
    sort: 'metric:val/loss, raw',
  })
  expect(asWord(FIXED.map(({ key }) => key))).toBeUndefined()
})

test('what is no column is none, and the run is always there', () => {
  expect(chosen('%E0%A4%A,odd,metric:').map(({ key }) => key)).toEqual(['name'])
})

test('there is to choose from what runs have, the most frequent first', () => {
  const all = possible([row({ loss: 1 }, { a: '' }), row({ loss: 2 }, {})])
  expect(all.slice(FIXED.length).map(({ key }) => key)).toEqual(['metric:loss', 'tag:a'])
})

test('a course is drawn in pieces where nothing is known', () => {
  expect(courseLines([1, 2, null, 2, 1], 8, 10)).toHaveLength(2)
  expect(courseLines([], 8, 10)).toEqual([])
  expect(courseLines([0, 0], 8, 10)).toEqual([])
})

test('a browser that keeps nothing has no views', () => {
  expect(kept()).toEqual([])
})
