// Joules as something from daily life. The comparisons say their watts themselves, so nobody has to believe a source.
import { duration } from '../../lib/format'

const THINGS: [from: number, watts: number, name: string][] = [
  [3.6e6 * 24, 1000, 'a heater of 1 kW'],
  [3.6e6, 1000, 'a kettle of 1 kW'],
  [0, 10, 'a lamp of 10 W'],
]

/** "as much as a lamp of 10 W in 2 min 5 s". */
export function likened(joules: number): string {
  const [, watts, name] = THINGS.find(([from]) => joules >= from) ?? THINGS.at(-1)!
  return `as much as ${name} in ${duration(Math.max(0, joules) / watts)}`
}
