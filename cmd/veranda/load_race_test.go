//go:build race

package main

// dearAtOnce is less with the race detector, which makes work ten times as
// long and says nothing about delays.
const dearAtOnce = 5
