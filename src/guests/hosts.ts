import { globMatcher } from '../core/glob.ts'
import type { Host, HostView, LookOptions } from './host.ts'

/** Which hosts and guests are wanted. */
export interface GuestQuery extends LookOptions {
  /** Glob over the host's URI or its own name; all without. */
  readonly host?: string | undefined
  /** virDomainState numbers; all without. */
  readonly states?: readonly number[] | undefined
}

/** Every host that is watched: the one place where all others learn of guests. */
export class Hosts {
  readonly #hosts = new Set<Host>()

  add(host: Host): void {
    this.#hosts.add(host)
  }

  remove(host: Host): void {
    this.#hosts.delete(host)
  }

  /** Looks at the hosts at the same time; one that does not answer keeps nobody else waiting for more than its own calls take. */
  async look(query: GuestQuery = {}): Promise<HostView[]> {
    const matches = query.host === undefined ? () => true : globMatcher(query.host)
    const wanted = [...this.#hosts].filter(({ name, hostname }) => matches(name) || matches(hostname ?? ''))
    const views = await Promise.all(wanted.map((host) => host.look(query)))
    const { states } = query
    if (!states) return views
    return views.map((view) => ({
      ...view,
      guests: view.guests.filter(({ state }) => states.includes(state)),
    }))
  }
}
