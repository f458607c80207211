/** Tags, with all below them, by which Salt's own daemons and virbus speak: whoever forges them has listeners act on what never was. */
export const RESERVED_TAGS: readonly string[] = ['salt/auth', 'salt/key', 'salt/job', 'virbus']

/** Who may fire under which tags. */
export interface ReservedTags {
  /** Default {@link RESERVED_TAGS}; each stands for itself and for what is below it. */
  readonly tags?: readonly string[] | undefined
  /** Users that may fire them. */
  readonly uids: readonly number[]
}

/** Whether a tag is one of these or below one. */
export function isReserved(tag: string, reserved: readonly string[]): boolean {
  return reserved.some(
    (name) => tag.startsWith(name) && (tag.length === name.length || tag[name.length] === '/'),
  )
}
