// Okabe and Ito's palette (jfly.uni-koeln.de/color), told apart by colour-blind people; the tokens hold both themes.

/** Token of a component's colour; the same component has the same colour everywhere. */
export function componentToken(component: string): string {
  const known = ['cpu', 'gpu', 'dram', 'soc', 'host', 'battery']
  return known.includes(component) ? `c-${component}` : 'c-other'
}

/** Token of the n-th of several things that are compared. */
export function seriesToken(index: number): string {
  return `s${(index % 8) + 1}`
}

/** Shapes that tell series apart where colours may not be seen. */
export const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond', 'roundRect', 'pin', 'arrow'] as const
