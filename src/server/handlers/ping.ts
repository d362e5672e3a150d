import { PingResponse } from '../../wire/types.ts';
import type { Handler } from '../context.ts';

/** The same answer to anyone, whatever cloud_id the request names. */
export const ping: Handler<'ping'> = ({ view }) => new PingResponse({ cloud_id: view.cloudId, response_data: 'pong' });
