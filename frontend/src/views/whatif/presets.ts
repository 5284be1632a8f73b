// Questions that are asked often, each as the alternatives that answer it; only those that the run allows.
import type { Place, RunHead } from '../../lib/schema'
import type { Alternative } from '../../stores/whatif/plan'

export interface Preset {
  title: string
  alternatives: Alternative[]
}

const H100 = 'h100-sxm'

export function presets(run: RunHead, places: Place[]): Preset[] {
  const found: Preset[] = []
  const countries = places
    .filter((place) => place.kind === 'country')
    .sort((a, b) => a.intensity.value - b.intensity.value || a.name.localeCompare(b.name))
  if (countries.length >= 3)
    found.push({
      title: 'The three cleanest grids',
      alternatives: countries.slice(0, 3).map((place) => ({ zone: place.id })),
    })
  if (countries.length >= 2)
    found.push({
      title: 'The cleanest and the dirtiest grid',
      alternatives: [countries[0]!, countries.at(-1)!].map((place) => ({ zone: place.id })),
    })
  const boards = run.accelerators.reduce((sum, one) => sum + one.quantity, 0)
  if (boards && !run.accelerators.some((one) => one.id === H100))
    found.push({
      title: boards === 1 ? 'On an H100' : `On ${boards} H100`,
      alternatives: [{ hardware: [[H100, Math.min(64, boards)]] }],
    })
  const { epochs } = run
  if (epochs && epochs >= 2) {
    found.push({ title: 'Half the epochs', alternatives: [{ epochs: Math.floor(epochs / 2) }] })
    found.push({
      title: 'Ten times the epochs',
      alternatives: [{ epochs: Math.min(1_000_000, epochs * 10) }],
    })
  }
  const least = run.power_cap?.min
  const most = run.power_cap?.max
  if (least && most && most * 0.7 > least)
    found.push({ title: 'Power limit at 70 %', alternatives: [{ cap: Math.round(most * 0.7) }] })
  return found
}
