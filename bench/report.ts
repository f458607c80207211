/** One measured quantity of ours beside the peer's, from one run. */
export interface Row {
  readonly what: string
  readonly ours: string
  readonly peer: string
  /** How many times better ours is. */
  readonly ratio: number
  /** The ratio to reach. */
  readonly goal: number
}

/** Prints rows as a Markdown table. */
export function printRows(rows: readonly Row[]): void {
  console.log('| what | ours | peer | ratio | goal |')
  console.log('| --- | --: | --: | --: | --: |')
  for (const { what, ours, peer, ratio, goal } of rows)
    console.log(`| ${what} | ${ours} | ${peer} | ${ratio.toFixed(ratio < 10 ? 2 : 1)} | ≥ ${goal} |`)
}

export function perSecond(count: number, ms: number): string {
  return `${Math.round((count / ms) * 1000).toLocaleString('en')}/s`
}

/** The value that this share of all values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(share * values.length) - 1)] ?? Number.NaN
}
