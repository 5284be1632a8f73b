// Which rows of the span tree are shown: a flat list of what is unfolded, with places for pages not loaded yet.
import type { SpanPage, SpanRow } from '../../lib/schema'

export interface Loaded {
  total: number
  spans: SpanRow[]
}
export type Row =
  | { kind: 'span'; span: SpanRow; level: number; at: number; of: number }
  | { kind: 'more'; parent: number; level: number; left: number }

/** The rows in their order. `open`: rows unfolded; `pages`: children loaded so far, by parent (-1: the top). */
export function flatten(pages: ReadonlyMap<number, Loaded>, open: ReadonlySet<number>): Row[] {
  const rows: Row[] = []
  const add = (parent: number, level: number) => {
    const page = pages.get(parent)
    if (!page) return
    page.spans.forEach((span, index) => {
      rows.push({ kind: 'span', span, level, at: index + 1, of: page.total })
      if (open.has(span.row)) add(span.row, level + 1)
    })
    if (page.spans.length < page.total)
      rows.push({ kind: 'more', parent, level, left: page.total - page.spans.length })
  }
  add(-1, 0)
  return rows
}

export function joined(known: Loaded | undefined, page: SpanPage): Loaded {
  return { total: page.total, spans: [...(known?.spans ?? []), ...page.spans] }
}

/** The row of the span around this one, or the same row. */
export function parentRow(rows: readonly Row[], index: number): number {
  const level = rows[index]?.level ?? 0
  for (let i = index - 1; i >= 0; i--) if (rows[i]!.level < level) return i
  return index
}
