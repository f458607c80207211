/**
 * First part of the tag of the events by which a client finds out how a bus wants its messages cut. Our puller answers them on
 * the connection that they came from and passes them to nobody; on a Salt bus every subscriber sees them.
 */
export const PROBE_TAG = 'virbus/probe/'
