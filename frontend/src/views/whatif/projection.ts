// The Equal Earth projection: areas true, so that a country's colour weighs what the country weighs.
// Šavrič, Patterson and Jenny, "The Equal Earth map projection", IJGIS 2018,
// doi:10.1080/13658816.2018.1504949, eq. 7-9.
const [A1, A2, A3, A4] = [1.340264, -0.081106, 0.000893, 0.003796] as const
const M = Math.sqrt(3) / 2
const RADIANS = Math.PI / 180

export function project([lon, lat]: number[]): [number, number] {
  const t = Math.asin(M * Math.sin((lat ?? 0) * RADIANS))
  const t2 = t * t
  const t6 = t2 * t2 * t2
  const x = ((lon ?? 0) * RADIANS * Math.cos(t)) / (M * (A1 + 3 * A2 * t2 + t6 * (7 * A3 + 9 * A4 * t2)))
  // ECharts' y grows downwards
  return [x, -t * (A1 + A2 * t2 + t6 * (A3 + A4 * t2))]
}

export function unproject([x, y]: number[]): [number, number] {
  let t = -(y ?? 0)
  for (let turn = 0; turn < 12; turn++) {
    const t2 = t * t
    const t6 = t2 * t2 * t2
    const off = t * (A1 + A2 * t2 + t6 * (A3 + A4 * t2)) + (y ?? 0)
    t -= off / (A1 + 3 * A2 * t2 + t6 * (7 * A3 + 9 * A4 * t2))
    if (Math.abs(off) < 1e-12) break
  }
  const t2 = t * t
  const t6 = t2 * t2 * t2
  const lon = (M * (x ?? 0) * (A1 + 3 * A2 * t2 + t6 * (7 * A3 + 9 * A4 * t2))) / Math.cos(t)
  return [lon / RADIANS, Math.asin(Math.min(1, Math.max(-1, Math.sin(t) / M))) / RADIANS]
}
