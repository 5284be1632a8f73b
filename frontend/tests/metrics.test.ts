import { expect, test } from 'vitest'
import { canDraw, nearest, points, range } from '../src/views/run/metrics'
import { likened } from '../src/views/run/likened'

const loss = {
  name: 'loss',
  t_s: [1, 2, 3],
  step: [null, null, null],
  value: [0.9, null, 0.3],
  energy_j: [10, 20, null],
}

test('points have both ends, and stand in order along the axis', () => {
  expect(points(loss, 'time')).toEqual([
    { x: 1, value: 0.9, row: 0 },
    { x: 3, value: 0.3, row: 2 },
  ])
  expect(points(loss, 'energy')).toEqual([{ x: 10, value: 0.9, row: 0 }])
  expect(canDraw([loss], 'step')).toBe(false)
  expect(canDraw([loss], 'energy')).toBe(true)
})

test('an axis has room for a single value', () => {
  expect(range([2, 4])).toEqual([2, 4])
  expect(range([5])).toEqual([4.5, 5.5])
  expect(range([0])).toEqual([-1, 1])
})

test('the nearest point is read out', () => {
  const all = points(loss, 'time')
  expect(nearest(all, 2.2)?.value).toBe(0.3)
  expect(nearest([], 1)).toBeUndefined()
})

test('joules are likened to things whose watts are said', () => {
  expect(likened(1000)).toBe('as much as a lamp of 10 W in 100 s')
  expect(likened(7.2e6)).toBe('as much as a kettle of 1 kW in 2 h 0 min')
})
