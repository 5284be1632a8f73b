// Rings that cross the 180th meridian (Russia, Fiji) are cut there; else a map would draw them across the whole world.
type Point = [number, number]
export type Ring = Point[]

/** The ring itself, or its parts on either side of the meridian. Longitudes in degrees, closed rings. */
export function cutRing(ring: Ring): Ring[] {
  const open = unwrapped(ring)
  const lons = open.map(([lon]) => lon)
  const [west, east] = [Math.min(...lons), Math.max(...lons)]
  if (west >= -180 && east <= 180) return [open]
  const parts: Ring[] = []
  for (let turn = Math.floor((west + 180) / 360); turn <= Math.floor((east + 180) / 360); turn++) {
    const [from, to] = [turn * 360 - 180, turn * 360 + 180]
    const kept = half(half(open, from, 1), to, -1)
    if (kept.length >= 4) parts.push(kept.map(([lon, lat]): Point => [lon - turn * 360, lat]))
  }
  return parts
}

/** Longitudes without jumps: each point lies within half a turn of the one before. */
function unwrapped(ring: Ring): Ring {
  let turn = 0
  return ring.map(([lon, lat], index): Point => {
    const before = index ? ring[index - 1]![0] : lon
    if (lon - before > 180) turn -= 360
    else if (before - lon > 180) turn += 360
    return [lon + turn, lat]
  })
}

/** Sutherland and Hodgman's clipping against one meridian; `side` 1 keeps what lies east of it, -1 what lies west. */
function half(ring: Ring, meridian: number, side: 1 | -1): Ring {
  const inside = ([lon]: Point) => (lon - meridian) * side >= 0
  const kept: Ring = []
  ring.forEach((point, index) => {
    const before = ring[(index || ring.length) - 1]!
    if (inside(point) !== inside(before)) {
      const part = (meridian - before[0]) / (point[0] - before[0])
      kept.push([meridian, before[1] + part * (point[1] - before[1])])
    }
    if (inside(point)) kept.push(point)
  })
  if (kept.length && (kept[0]![0] !== kept.at(-1)![0] || kept[0]![1] !== kept.at(-1)![1])) kept.push(kept[0]!)
  return kept
}
