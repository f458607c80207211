/** Numbers of an enum as the Salt engine writes them: the rest of the name, lower case, with spaces (`from snapshot`). */
export function words(values: Readonly<Record<string, number>>, prefix: string): ReadonlyMap<number, string> {
  const entries = Object.entries(values).filter(([name]) => name.startsWith(prefix))
  return new Map(
    entries.map(([name, value]) => [value, name.slice(prefix.length).toLowerCase().replaceAll('_', ' ')]),
  )
}
