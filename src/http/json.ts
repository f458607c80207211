/** JSON with every integer exact, whatever its size. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'bigint' ? rawNumber(String(member)) : member,
  )
}

/** `JSON.rawJSON` of ECMAScript's JSON.parse source text access, which TypeScript's library does not have yet. */
function rawNumber(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text) // Node 22 and newer have it
}
