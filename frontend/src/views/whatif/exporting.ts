// What is shown, as files: CSV and JSON of the numbers, SVG and PNG of the chart.
import type { Plan } from '../../stores/whatif/plan'
import type { Line } from '../../stores/whatif/estimates.svelte'
import type { Metric } from './series'

const METRICS: Metric[] = ['energy', 'carbon', 'cost']

/** One row for each epoch of each side, then totals; numbers in base units, unrounded. */
export function csv(lines: Line[]): string {
  const head = [
    'side',
    'epoch',
    'extrapolated',
    'metric',
    'unit',
    'value',
    'low',
    'high',
    'total_value',
    'total_low',
    'total_high',
  ]
  const rows: (string | number | boolean)[][] = [head]
  for (const { name, estimate } of lines) {
    for (const metric of METRICS) {
      const unit = estimate[metric]?.unit ?? ''
      const [each, total] = [estimate.course?.each[metric], estimate.course?.total[metric]]
      estimate.course?.epoch.forEach((epoch, at) => {
        if (each && total)
          rows.push([
            name,
            epoch,
            estimate.course!.extrapolated[at]!,
            metric,
            unit,
            each.value[at]!,
            each.low[at]!,
            each.high[at]!,
            total.value[at]!,
            total.low[at]!,
            total.high[at]!,
          ])
      })
    }
    for (const metric of [...METRICS, 'duration'] as const) {
      const q = estimate[metric]
      rows.push([
        name,
        'whole run',
        '',
        metric,
        q?.unit ?? '',
        '',
        '',
        '',
        q?.value ?? '',
        q?.low ?? '',
        q?.high ?? '',
      ])
    }
  }
  return rows.map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n'
}

const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

/** A cell that no spreadsheet takes for a formula (a run may be called "=1+1"): by the rule of every other export. */
function cell(value: string | number | boolean): string {
  if (typeof value !== 'string') return String(value)
  const text = FORMULA.test(value) && !NUMBER.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

export function json(lines: Line[], plan: Plan, run: string): string {
  const estimates = lines.map(({ name, estimate }) => ({ name, ...estimate }))
  return JSON.stringify({ format: 'wattmark-what-if', version: 1, run, plan, estimates }, null, 1)
}

export function save(name: string, type: string, content: string | Blob): void {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  document.body.append(link)
  link.click()
  link.remove()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

/** An SVG drawing as a PNG of twice its size on a ground of the given colour. */
export async function png(svg: string, width: number, height: number, ground: string): Promise<Blob> {
  const picture = new Image()
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`
  await picture.decode()
  const canvas = document.createElement('canvas')
  canvas.width = width * 2
  canvas.height = height * 2
  const context = canvas.getContext('2d')
  if (!context) throw new Error('this browser cannot draw the picture')
  context.fillStyle = ground
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.drawImage(picture, 0, 0, canvas.width, canvas.height)
  return new Promise((resolve, reject) =>
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error('this browser cannot make a PNG'))),
      'image/png',
    ),
  )
}
